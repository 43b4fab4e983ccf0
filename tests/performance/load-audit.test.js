// What auditors ask: entries, their content, signed heads, proofs, a verification.
import { ask, counted, profile, summary, until, usual } from './profiles.js';

const VERIFY_EVERY = 20; // it reads the whole log, and one runs at a time

export const requests = 10;
export const options = profile(
  usual('POST /audit/record', 'GET /audit/entries/{index}',
    'GET /audit/entries/{index}/content', 'GET /audit/entries', 'GET /audit/log',
    'GET /audit/stats', 'GET /audit/checkpoint', 'GET /audit/log-tiles/{name}',
    'GET /audit/proof/inclusion/{index}', 'GET /audit/proof/consistency',
    'POST /audit/verify'),
  requests,
);
export const handleSummary = summary;

function call(number) {
  return {
    run_id: `audit-${number}`, agent_name: 'k6', method_name: 'load',
    prompt: `question ${number}`, raw_output: `answer ${number}`,
  };
}

export function setup() {
  const index = ask('POST /audit/record', { body: call(0), quiet: true }).json('index');
  const path = `/audit/proof/inclusion/${index}`; // once a checkpoint covers it
  until('GET /audit/proof/inclusion/{index}', { path });
  return { index };
}

export default function use(data, number = counted()) {
  const recorded = ask('POST /audit/record', { body: call(number) });
  if (recorded.status !== 200) return;
  const entry = `/audit/entries/${recorded.json('index')}`;
  ask('GET /audit/entries/{index}', {
    path: entry, holds: (a) => a.json('run_id') === `audit-${number}`,
  });
  ask('GET /audit/entries/{index}/content', {
    path: `${entry}/content`,
    holds: (a) => a.json('content.prompt') === `question ${number}`,
  });
  ask('GET /audit/entries', { path: `/audit/entries?run_id=audit-${number}&limit=5` });
  ask('GET /audit/log', { path: '/audit/log?limit=20' });
  ask('GET /audit/stats', { holds: (a) => a.json('calls') > 0 });
  ask('GET /audit/checkpoint', { holds: (a) => a.body.split('\n').length >= 5 });
  ask('GET /audit/log-tiles/{name}', { path: '/audit/log-tiles/checkpoint' });
  ask('GET /audit/proof/inclusion/{index}', {
    path: `/audit/proof/inclusion/${data.index}`,
    holds: (a) => a.json('index') === data.index,
  });
  ask('GET /audit/proof/consistency', { path: '/audit/proof/consistency?from=1' });
  if (number % VERIFY_EVERY === 0) {
    ask('POST /audit/verify', { holds: (a) => a.json('verdict') === 'intact' });
  }
}
