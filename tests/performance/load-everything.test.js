// All journeys mixed, one after the other: what stress and soak load, and CI.
import * as agents from './load-agents.test.js';
import * as audit from './load-audit.test.js';
import * as curation from './load-curation.test.js';
import * as health from './load-health.test.js';
import * as inference from './load-inference.test.js';
import * as memory from './load-memory.test.js';
import * as multimodal from './load-multimodal.test.js';
import * as operations from './load-operations.test.js';
import * as sessions from './load-sessions.test.js';
import { counted, profile, summary } from './profiles.js';

const JOURNEYS = [
  memory, audit, sessions, multimodal, curation, agents, inference, health, operations,
];
const all = JOURNEYS.reduce((sum, journey) => sum + journey.requests, 0);

export const options = profile({}, all / JOURNEYS.length);
export const handleSummary = summary;

export function setup() {
  return JOURNEYS.map((journey) => (journey.setup ? journey.setup() : null));
}

export default function use(data) {
  const number = counted();
  const which = number % JOURNEYS.length;
  JOURNEYS[which].default(data[which], Math.floor(number / JOURNEYS.length));
}
