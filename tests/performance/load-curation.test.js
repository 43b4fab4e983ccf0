// Care for what is stored: import, list, correct, quarantine, export, forget.
import { ask, counted, profile, summary, usual } from './profiles.js';

const namespace = 'load-curation';
const NDJSON = { 'Content-Type': 'application/x-ndjson', Accept: 'application/json' };

export const requests = 11;
export const options = profile(
  usual('POST /memory/import', 'GET /memory', 'PATCH /memory/{memory_id}',
    'POST /memory/{memory_id}/quarantine', 'POST /memory/{memory_id}/release',
    'POST /memory/quarantine', 'POST /memory/release', 'GET /memory/export',
    'DELETE /memory/{memory_id}', 'DELETE /memory', 'GET /memory/stats'),
  requests,
);
export const handleSummary = summary;

export function setup() {
  return { run: `${Date.now()}` };
}

export default function use(data, number = counted()) {
  const run = `${data.run}-${number}`;
  const mine = `namespace=${namespace}&run_id=${run}`;
  const lines = ['first', 'second'].map((word) => JSON.stringify(
    { content: `The ${word} thing of run ${run}`, run_id: run },
  ));
  const imported = ask('POST /memory/import', {
    path: `/memory/import?namespace=${namespace}`,
    body: `${lines.join('\n')}\n`,
    headers: NDJSON,
    holds: (a) => a.json('stored') === 2,
  });
  if (imported.status !== 200) return;
  const listed = ask('GET /memory', {
    path: `/memory?${mine}`, holds: (a) => a.json('memories').length === 2,
  });
  if (listed.status !== 200) return;
  const id = listed.json('memories.0.id');
  const one = `/memory/${id}?namespace=${namespace}`;
  const reason = 'load';
  ask('PATCH /memory/{memory_id}', { path: one, body: { importance: 0.9 } });
  ask('POST /memory/{memory_id}/quarantine', {
    path: `/memory/${id}/quarantine?namespace=${namespace}`, body: { reason },
  });
  ask('POST /memory/{memory_id}/release', {
    path: `/memory/${id}/release?namespace=${namespace}`,
  });
  ask('POST /memory/quarantine', { body: { reason, namespace, run_id: run } });
  ask('POST /memory/release', { body: { namespace, run_id: run } });
  ask('GET /memory/export', {
    path: `/memory/export?${mine}`, holds: (a) => a.body.includes(id),
  });
  ask('DELETE /memory/{memory_id}', { path: one });
  ask('DELETE /memory', { path: `/memory?${mine}` });
  ask('GET /memory/stats', { path: `/memory/stats?namespace=${namespace}` });
}
