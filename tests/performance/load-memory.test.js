// The main job: store, search, read, build a context, record in the ledger.
import exec from 'k6/execution';
import { get, post, profile, summary } from './profiles.js';

const SUBJECTS = ['harbour', 'invoice', 'garden', 'release', 'library', 'kitchen', 'bridge'];
const NAMESPACE = 'load';

export const options = profile({
  '/memory': 250,
  '/memory/search': 250,
  'one memory': 250,
  '/context': 250,
  '/context/optimize': 250,
  '/vector/search': 250,
  '/embed': 200,
  '/audit/record': 250,
  '/models': 50,
}, 9);
export const handleSummary = summary;

function item(subject, number) {
  return { content: `Note ${number} about the ${subject}: it opens at ${number % 24}.` };
}

export function setup() {
  const items = SUBJECTS.map((subject, number) => item(subject, number));
  const namespace = NAMESPACE;
  const answer = post('/memory', { items, namespace }, undefined, 'setup');
  post('/memory/search', { query: 'warm', namespace }, undefined, 'setup');
  post('/context', { query: 'warm', namespace, model: 'gpt-4o' }, undefined, 'setup');
  return { ids: answer.json('ids') };
}

export default function use(data) {
  const number = exec.scenario.iterationInTest;
  const subject = SUBJECTS[number % SUBJECTS.length];
  const query = `when does the ${subject} open`;
  const namespace = NAMESPACE;
  post('/memory', { items: [item(subject, Date.now() + number)], namespace },
    (a) => a.json('ids').length === 1);
  post('/memory/search', { query, namespace, top_k: 5 },
    (a) => a.json('hits').length > 0 && a.json('degraded').length === 0);
  const id = data.ids[number % data.ids.length];
  get(`/memory/${id}?namespace=${NAMESPACE}`, (a) => a.json('id') === id, 'one memory');
  post('/context', { query, namespace, model: 'gpt-4o', max_tokens: 600 },
    (a) => a.json('total_tokens') <= 600);
  post('/context/optimize', { items: [{ content: query, priority: 1 }], max_tokens: 200 },
    (a) => a.json('items_included') === 1);
  post('/vector/search', { query, top_k: 3 });
  post('/embed', { text: `${query} ${number}` }, (a) => a.json('embedding').length > 0);
  post('/audit/record', {
    run_id: `load-${number}`, agent_name: 'k6', method_name: 'load', prompt: query,
    raw_output: subject,
  }, (a) => a.json('entry_hash').length === 64);
  get('/models');
}
