// Conversations, hot state and the signed snapshot of both.
import exec from 'k6/execution';
import { ask, counted, profile, summary, usual } from './profiles.js';

const namespace = 'load-sessions';
const KEYS = 100;

export const requests = 10;
export const options = profile(
  usual('POST /sessions', 'POST /sessions/{session_id}/messages',
    'GET /sessions/{session_id}/messages', 'GET /sessions/{session_id}', 'GET /sessions',
    'PUT /state/{namespace}/{key}', 'GET /state/{namespace}/{key}',
    'DELETE /state/{namespace}/{key}', 'GET /state/snapshot', 'GET /state/discover'),
  requests,
);
export const handleSummary = summary;

export function setup() {
  ask('GET /state/snapshot', { quiet: true });
}

export default function use(data, number = counted()) {
  const here = `?namespace=${namespace}`;
  const begun = ask('POST /sessions', { body: { title: `talk ${number}`, namespace } });
  if (begun.status !== 200) return;
  const path = `/sessions/${begun.json('id')}`;
  const sent = ask('POST /sessions/{session_id}/messages', {
    path: `${path}/messages${here}`,
    body: { items: [{ content: `Hello, this is talk ${number}`, author: 'Ann' }] },
    holds: (a) => a.json('ids').length === 1,
  });
  if (sent.status !== 200) return;
  ask('GET /sessions/{session_id}/messages', {
    path: `${path}/messages${here}`, holds: (a) => a.json('memories').length === 1,
  });
  ask('GET /sessions/{session_id}', {
    path: path + here, holds: (a) => a.json('message_count') === 1,
  });
  ask('GET /sessions', { path: `/sessions${here}&limit=20` });
  ask('GET /state/snapshot', { holds: (a) => a.json('signature').length > 0 });
  ask('GET /state/discover');
  // A key that no iteration beside this one has.
  const key = `/state/${namespace}/key-${exec.vu.idInTest}-${number % KEYS}`;
  const put = ask('PUT /state/{namespace}/{key}', { path: key, body: { value: { number } } });
  if (put.status !== 200) return;
  ask('GET /state/{namespace}/{key}', {
    path: key, holds: (a) => a.json('value.number') === number,
  });
  ask('DELETE /state/{namespace}/{key}', { path: key });
}
