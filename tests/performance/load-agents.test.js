// Plans and reflections of the default planner, which needs no model.
import { ask, counted, profile, summary } from './profiles.js';

const GOAL = 'Back up the database, then migrate it, then tell the team';

export const requests = 2;
export const options = profile(
  { 'POST /agents/plan': 2000, 'POST /agents/reflect': 500 }, requests,
);
export const handleSummary = summary;

function whole(answer) {
  const steps = answer.json('steps');
  const known = steps.map((step) => step.id);
  return steps.length > 0 && steps.length <= 10
    && steps.every((step) => step.dependencies.every((id) => known.includes(id)));
}

function judged(answer) {
  const score = answer.json('quality_score');
  return score >= 0 && score <= 1;
}

export default function use(data, number = counted()) {
  const strategy = number % 2 ? 'cot' : 'tot';
  ask('POST /agents/plan', { body: { goal: `${GOAL} ${number}`, strategy }, holds: whole });
  const output = { content: `Step ${number}: the database was backed up at noon.` };
  ask('POST /agents/reflect', { body: { output, goal: GOAL }, holds: judged });
}
