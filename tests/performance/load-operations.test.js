// What operators and the dashboard ask: tokens, alerts, promises, history, surroundings.
import { ask, counted, profile, summary, until, usual } from './profiles.js';

// What the server has to be told of: CORTEX_DATABASES and CORTEX_FS_ROOTS.
const DATABASE = __ENV.DATABASE || 'load';
const ROOT = __ENV.ROOT || 'load';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PLAIN = [
  'GET /admin/alerts', 'GET /alerts', 'GET /quotas', 'GET /slo', 'GET /metrics/energy',
  'GET /events', 'GET /events/dead-letters', 'GET /performance/metrics',
  'GET /performance/status',
  'GET /performance/spans', 'GET /performance/errors', 'GET /performance/logs',
  'GET /performance/logs/summary', 'GET /svc/list',
  'GET /svc/health', 'GET /db/list', 'GET /config', 'GET /config/history',
];
const TOKENS = [
  'GET /admin/tokens', 'POST /admin/tokens', 'POST /admin/tokens/{token_id}/rotate',
  'DELETE /admin/tokens/{token_id}',
];

export const requests = PLAIN.length + TOKENS.length + 10;
export const options = profile(
  usual(...PLAIN, ...TOKENS, 'POST /alerts/acknowledge', 'POST /events/dead-letters/retry',
    'PATCH /config', 'POST /config/rollback',
    'GET /performance/history', 'GET /performance/traces/{trace_id}',
    'GET /db/schema/{name}', 'GET /db/sample', 'GET /fs/list', 'GET /fs/read_text'),
  requests,
);
export const handleSummary = summary;

export function setup() {
  const headers = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` };
  ask('GET /slo', { headers, quiet: true });
  until('GET /performance/traces/{trace_id}', { path: `/performance/traces/${TRACE}` });
  const path = `/db/schema/${DATABASE}`;
  const table = ask('GET /db/schema/{name}', { path, quiet: true }).json('tables.0.name');
  const listed = ask('GET /fs/list', { path: `/fs/list?root=${ROOT}`, quiet: true });
  const file = listed.json('entries').find((entry) => entry.path.endsWith('.txt')).path;
  return { run: Date.now(), table, file };
}

function tokens(run, number) {
  const body = { name: `load-${run}-${number}`, scopes: ['memory'], ttl_seconds: 60 };
  const issued = ask('POST /admin/tokens', { body });
  ask('GET /admin/tokens', { path: '/admin/tokens?limit=20' });
  if (issued.status !== 201) return;
  const path = `/admin/tokens/${issued.json('token.id')}`;
  ask('POST /admin/tokens/{token_id}/rotate', { path: `${path}/rotate`, body: {} });
  ask('DELETE /admin/tokens/{token_id}', { path });
}

export default function use(data, number = counted()) {
  for (const route of PLAIN) ask(route);
  tokens(data.run, number);
  // No alert fires in a healthy server: that it knows of none is the right answer.
  ask('POST /alerts/acknowledge', { body: { name: 'no-such-alert' }, statuses: [404] });
  ask('POST /events/dead-letters/retry', { body: {} });
  ask('GET /performance/history', {
    path: '/performance/history?metric=cortex_http_requests_total&fn=rate&window=60',
  });
  ask('GET /performance/traces/{trace_id}', { path: `/performance/traces/${TRACE}` });
  ask('GET /db/schema/{name}', { path: `/db/schema/${DATABASE}` });
  ask('GET /db/sample', {
    path: `/db/sample?database=${DATABASE}&table=${data.table}&limit=5`,
  });
  ask('GET /fs/list', { path: `/fs/list?root=${ROOT}` });
  ask('GET /fs/read_text', { path: `/fs/read_text?root=${ROOT}&path=${data.file}` });
  // Each change differs from the last, so there is always one to go back to.
  const change = { set: { default_ttl: 121 + (number % 60) } };
  if (ask('PATCH /config', { body: change }).status !== 200) return;
  ask('POST /config/rollback', { body: { reason: 'load' } });
}
