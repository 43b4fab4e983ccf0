// The main job: store, search, read, build a context, record in the ledger.
import { ask, counted, profile, summary, usual } from './profiles.js';

const SUBJECTS = ['harbour', 'invoice', 'garden', 'release', 'library', 'kitchen', 'bridge'];
const namespace = 'load';

export const requests = 7;
export const options = profile(
  usual('POST /memory', 'POST /memory/search', 'GET /memory/{memory_id}', 'POST /context',
    'POST /context/optimize', 'POST /vector/search', 'POST /audit/record'),
  requests,
);
export const handleSummary = summary;

function item(subject, number) {
  return { content: `Note ${number} about the ${subject}: it opens at ${number % 24}.` };
}

export function setup() {
  const quiet = true;
  const items = SUBJECTS.map((subject, number) => item(subject, number));
  const answer = ask('POST /memory', { body: { items, namespace }, quiet });
  ask('POST /memory/search', { body: { query: 'warm', namespace }, quiet });
  ask('POST /context', { body: { query: 'warm', namespace, model: 'gpt-4o' }, quiet });
  return { ids: answer.json('ids') };
}

export default function use(data, number = counted()) {
  const subject = SUBJECTS[number % SUBJECTS.length];
  const query = `when does the ${subject} open`;
  ask('POST /memory', {
    body: { items: [item(subject, Date.now() + number)], namespace },
    holds: (a) => a.json('ids').length === 1,
  });
  ask('POST /memory/search', {
    body: { query, namespace, top_k: 5 },
    holds: (a) => a.json('hits').length > 0 && a.json('degraded').length === 0,
  });
  const id = data.ids[number % data.ids.length];
  ask('GET /memory/{memory_id}', {
    path: `/memory/${id}?namespace=${namespace}`, holds: (a) => a.json('id') === id,
  });
  ask('POST /context', {
    body: { query, namespace, model: 'gpt-4o', max_tokens: 600 },
    holds: (a) => a.json('total_tokens') <= 600,
  });
  ask('POST /context/optimize', {
    body: { items: [{ content: query, priority: 1 }], max_tokens: 200 },
    holds: (a) => a.json('items_included') === 1,
  });
  ask('POST /vector/search', { body: { query, top_k: 3 } });
  ask('POST /audit/record', {
    body: {
      run_id: `load-${number}`, agent_name: 'k6', method_name: 'load', prompt: query,
      raw_output: subject,
    },
    holds: (a) => a.json('entry_hash').length === 64,
  });
}
