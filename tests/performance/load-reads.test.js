// Everything that can be read without naming one thing: asked as OpenAPI lists it.
import exec from 'k6/execution';
import { get, profile, summary } from './profiles.js';

// A stream that never ends, and pages of other tests.
const LEFT_OUT = ['/events/stream', '/docs', '/openapi.json'];

export const options = profile({ read: 250 }, 1);
export const handleSummary = summary;

export function setup() {
  const described = get('/openapi.json', undefined, 'setup').json('paths');
  return Object.keys(described).filter((path) => {
    const how = described[path].get;
    const needs = ((how && how.parameters) || []).some((one) => one.required);
    return how && !needs && !path.includes('{') && !LEFT_OUT.includes(path);
  });
}

export default function read(paths) {
  const path = paths[exec.scenario.iterationInTest % paths.length];
  const answer = get(path, () => true, 'read');
  if (answer.status !== 200) console.warn(`${path} answered ${answer.status}`);
}
