// Probes and metrics: what supervisors and Prometheus ask.
import { get, profile, summary } from './profiles.js';

const PROBES = ['/healthz', '/health', '/health/live', '/health/ready', '/ready'];

export const options = profile({
  ...Object.fromEntries(PROBES.map((path) => [path, 50])),
  '/metrics': 100,
}, PROBES.length + 1);
export const handleSummary = summary;

export default function probe() {
  for (const path of PROBES) get(path, (a) => a.json() !== null);
  get('/metrics', (a) => a.body.includes('cortex_build_info'));
}
