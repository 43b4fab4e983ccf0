// Embeddings of texts in their three forms, and what operators ask about models.
import { ask, counted, profile, summary, usual } from './profiles.js';

export const requests = 10;
export const options = profile({
  'POST /embed': 200,
  'POST /embeddings': 200,
  'POST /v1/embeddings': 200,
  'GET /models': 50,
  'GET /v1/models': 50,
  'GET /v1/models/{model}': 50,
  ...usual('POST /models/warm', 'GET /inference', 'PUT /inference/power',
    'PUT /inference/workers'),
}, requests);
export const handleSummary = summary;

export function setup() {
  const state = ask('GET /inference', { quiet: true }).json();
  return { mode: state.power.mode, replicas: state.pool.wanted };
}

export default function use(data, number = counted()) {
  const text = `the harbour opens at ${number}`;
  ask('POST /embed', { body: { text }, holds: (a) => a.json('embedding').length > 0 });
  ask('POST /embeddings', {
    body: { texts: [`${text} today`, `${text} tomorrow`] },
    holds: (a) => a.json('embeddings').length === 2,
  });
  ask('POST /v1/embeddings', {
    body: { input: `${text} again`, model: data.model },
    holds: (a) => a.json('data').length === 1,
  });
  ask('GET /models');
  ask('GET /v1/models');
  ask('GET /v1/models/{model}', { path: '/v1/models/default' });
  ask('POST /models/warm', { body: {} });
  ask('GET /inference');
  // What is set already is set again: the server stays as it was.
  ask('PUT /inference/power', { body: { mode: data.mode, reason: 'load' } });
  ask('PUT /inference/workers', { body: { replicas: data.replicas, reason: 'load' } });
}
