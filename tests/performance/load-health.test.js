// Probes and metrics: what supervisors and Prometheus ask.
import { ask, profile, summary } from './profiles.js';

const PROBES = {
  'GET /healthz': 50,
  'GET /health': 50,
  'GET /health/live': 50,
  'GET /health/ready': 50,
  'GET /ready': 50,
};

export const requests = 6;
export const options = profile({ ...PROBES, 'GET /metrics': 100 }, requests);
export const handleSummary = summary;

export default function probe() {
  for (const route of Object.keys(PROBES)) ask(route, { holds: (a) => a.json() !== null });
  ask('GET /metrics', { holds: (a) => a.body.includes('cortex_build_info') });
}
