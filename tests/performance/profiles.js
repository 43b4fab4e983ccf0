// What all load scripts share: profiles, thresholds, one way to ask, one result.
//
//   BASE_URL  the server               http://127.0.0.1:4949
//   TOKEN     bearer token, if needed
//   PROFILE   short | full | steady | soak
//   RATE      requests a second; iterations begin in time, whether or not earlier ones
//             were answered (an open model)
//   HOLD      seconds at that rate; full has ten of rise before and ten of fall after
//   SLACK     factor on latency goals, for machines that do other work besides
//   RESULT    file for the result as JSON
import exec from 'k6/execution';
import http from 'k6/http';
import { check, sleep } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:4949').replace(/\/$/, '');
const PROFILE = __ENV.PROFILE || 'short';
const RATE = Number(__ENV.RATE || 20);
const HOLD_SECONDS = Number(__ENV.HOLD || 40);
const SLACK = Number(__ENV.SLACK || 1);
const FAILED_MAX = 0.005;
const IN_TIME_MIN = 0.95; // what a goal for the 95th percentile says
const SLICES_MAX = 10;
const SLICE_SECONDS_MIN = 10;
const ITERATIONS_MAX = 1e6; // of a slice
const CLIENTS_OF_USER = 250;
const WAIT_SECONDS_MAX = 20;
const GOALS = {};
const shape = { requests: 1 };

// good; refused with Retry-After and without; any other 5xx; any other answer; none
// because the connection broke; none in time.
const ANSWERS = ['good', 'refused', 'bare', 'fault', 'wrong', 'broken', 'late'];
const answers = new Counter('answers');
const inTime = new Rate('in_time');
const took = { good: new Trend('good_ms'), refused: new Trend('refused_ms') };

function arriving(startRate, stages, startTime) {
  const short = PROFILE === 'short';
  return {
    executor: 'ramping-arrival-rate',
    startRate,
    timeUnit: short ? '1s' : `${Math.round(1000 * shape.requests)}ms`,
    preAllocatedVUs: { full: 100, steady: 200 }[PROFILE] || 20,
    maxVUs: PROFILE === 'steady' ? 1000 : 200,
    gracefulStop: '30s',
    startTime: startTime || '0s',
    stages,
  };
}

function steady(seconds, startTime) {
  return arriving(RATE, [{ target: RATE, duration: `${seconds}s` }], startTime);
}

function slices() {
  const many = Math.floor(HOLD_SECONDS / SLICE_SECONDS_MIN);
  return Math.max(2, Math.min(SLICES_MAX, many));
}

const SCENARIOS = {
  short: () => ({ load: arriving(3, [{ target: 3, duration: '4s' }]) }),
  steady: () => ({ load: steady(HOLD_SECONDS) }),
  full: () => ({
    load: arriving(1, [
      { target: RATE, duration: '10s' },
      { target: RATE, duration: `${HOLD_SECONDS}s` },
      { target: 0, duration: '10s' },
    ]),
  }),
  // One after the other, so that their latencies can be compared.
  soak: () => {
    const seconds = Math.floor(HOLD_SECONDS / slices());
    const all = [...Array(slices()).keys()];
    return Object.fromEntries(
      all.map((n) => [`slice_${n}`, steady(seconds, `${n * seconds}s`)]),
    );
  },
};

// goals: {route: P95 in ms}. Every route gets a threshold, so that the result has its
// latency and its success rate side by side. A script that imports others has their
// goals, too.
// requests: how many one iteration sends, on average.
export function profile(goals, requests) {
  shape.requests = requests;
  Object.assign(GOALS, goals);
  const thresholds = {
    http_req_failed: [`rate<${FAILED_MAX}`],
    checks: [`rate>${1 - FAILED_MAX}`],
    in_time: [`rate>=${IN_TIME_MIN}`],
  };
  for (const kind of ANSWERS) thresholds[`answers{kind:${kind}}`] = ['count>=0'];
  for (const [route, milliseconds] of Object.entries(GOALS)) {
    // A few seconds bring too few requests to one route to speak of its percentiles.
    const judged = PROFILE === 'steady' ? ['p(95)>=0'] : [`p(95)<${SLACK * milliseconds}`];
    thresholds[`http_req_duration{route:${route}}`] = judged;
    if (PROFILE === 'steady') continue;
    thresholds[`http_req_failed{route:${route}}`] = [`rate<${FAILED_MAX}`];
    thresholds[`http_reqs{route:${route}}`] = ['count>0'];
  }
  const scenarios = SCENARIOS[PROFILE]();
  if (PROFILE === 'soak') {
    for (const name of Object.keys(scenarios)) {
      thresholds[`http_req_duration{scenario:${name}}`] = ['p(95)>=0'];
    }
  }
  // An iteration that could not start in time is load that was not there.
  thresholds.dropped_iterations = ['count<1'];
  return {
    scenarios,
    thresholds,
    summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
    setupTimeout: '120s',
  };
}

// The number of this iteration, which no other of the test has.
export function counted() {
  const slice = Number(exec.scenario.name.split('_')[1] || 0);
  return slice * ITERATIONS_MAX + exec.scenario.iterationInTest;
}

// The contract's goal for all routes that have none of their own.
export function usual(...routes) {
  return Object.fromEntries(routes.map((route) => [route, 250]));
}

// One of many clients, so that limits of one client do not hide the server: an address
// that counts only where CORTEX_TRUSTED_PROXIES names the machine that runs k6.
function client() {
  if (!exec.vu.idInTest) return '10.255.255.1'; // setup
  const user = exec.vu.idInTest;
  return `10.${user >> 8}.${user & 255}.${exec.vu.iterationInInstance % CLIENTS_OF_USER}`;
}

function kindOf(answer, statuses) {
  if (answer.status === 0) return answer.error_code === 1050 ? 'late' : 'broken';
  if (statuses.includes(answer.status)) return 'good';
  if (answer.status === 429 || answer.status === 503) {
    return answer.headers['Retry-After'] ? 'refused' : 'bare';
  }
  return answer.status >= 500 ? 'fault' : 'wrong';
}

// Send one request. route: 'METHOD /template', as in /openapi.json.
// how: path, where it is not the template; body, an object to send as JSON or what k6
// takes; headers; part, where one route has several goals; holds, whether the answer is
// right; statuses that are right; quiet, in setup.
export function ask(route, how = {}) {
  const name = how.part ? `${route} ${how.part}` : route;
  if (!how.quiet && !(name in GOALS)) throw new Error(`no goal for ${name}`);
  const [method, template] = route.split(' ');
  const statuses = how.statuses || [200, 201, 204];
  const token = __ENV.TOKEN ? { Authorization: `Bearer ${__ENV.TOKEN}` } : {};
  const json = how.body !== undefined && !how.headers && !how.upload;
  const answer = http.request(
    method,
    BASE_URL + (how.path || template),
    json ? JSON.stringify(how.body) : how.body,
    {
      headers: {
        'X-Forwarded-For': client(),
        ...(json ? { 'Content-Type': 'application/json' } : {}),
        ...token,
        ...how.headers,
      },
      tags: { route: how.quiet ? 'setup' : name },
      responseCallback: http.expectedStatuses(...statuses),
      timeout: '20s',
    },
  );
  const holds = how.holds || (() => true);
  const right = statuses.includes(answer.status) && holds(answer);
  if (how.quiet) return answer;
  check(answer, { [`${name} answers rightly`]: () => right });
  const kind = kindOf(answer, statuses);
  answers.add(1, { kind });
  if (kind in took) took[kind].add(answer.timings.duration);
  if (['bare', 'fault', 'wrong'].includes(kind)) {
    console.warn(`${name} ${kind}: ${answer.status} ${String(answer.body).slice(0, 300)}`);
  }
  inTime.add(right && answer.timings.duration < SLACK * GOALS[name]);
  return answer;
}

// Ask in setup until the answer is there.
export function until(route, how = {}) {
  for (let waited = 0; waited < WAIT_SECONDS_MAX; waited += 0.2) {
    const answer = ask(route, { ...how, quiet: true, statuses: [200, 404] });
    if (answer.status === 200) return answer;
    sleep(0.2);
  }
  throw new Error(`${route} has no answer in ${WAIT_SECONDS_MAX} s`);
}

function values(metrics, name) {
  return metrics[name] ? metrics[name].values : {};
}

function row(metrics, tags) {
  const of = (name) => values(metrics, tags ? `${name}{${tags}}` : name);
  const duration = of('http_req_duration');
  const failed = of('http_req_failed').rate;
  return {
    requests: of('http_reqs').count || 0,
    success_rate: failed === undefined ? null : 1 - failed,
    median_ms: duration.med,
    p95_ms: duration['p(95)'],
    p99_ms: duration['p(99)'],
  };
}

function times(metrics, kind) {
  const found = values(metrics, `${kind}_ms`);
  return { median_ms: found.med, p95_ms: found['p(95)'], max_ms: found.max };
}

function line([name, one]) {
  const told = one.success_rate === null ? '-' : (100 * one.success_rate).toFixed(2);
  const p95 = one.p95_ms === undefined ? '-' : one.p95_ms.toFixed(1);
  const requests = String(one.requests).padStart(7);
  return `${name.padEnd(36)} ${requests} requests  success ${told} %  p95 ${p95} ms`;
}

export function summary(data) {
  const metrics = data.metrics;
  const broken = [];
  for (const [name, metric] of Object.entries(metrics)) {
    for (const [rule, state] of Object.entries(metric.thresholds || {})) {
      if (!state.ok) broken.push(`${name}: ${rule}`);
    }
  }
  const routes = Object.fromEntries(
    Object.keys(GOALS).map((name) => [name, row(metrics, `route:${name}`)]),
  );
  const checks = values(metrics, 'checks');
  const count = (kind) => values(metrics, `answers{kind:${kind}}`).count || 0;
  const result = {
    profile: PROFILE,
    rate: RATE,
    slack: SLACK,
    verdict: broken.length ? 'failed' : 'passed',
    broken,
    all: row(metrics, ''),
    in_time: values(metrics, 'in_time').rate || 0,
    waited: Object.fromEntries(Object.keys(took).map((kind) => [kind, times(metrics, kind)])),
    answers: Object.fromEntries(ANSWERS.map((kind) => [kind, count(kind)])),
    checks: { passes: checks.passes || 0, fails: checks.fails || 0 },
    dropped: values(metrics, 'dropped_iterations').count || 0,
    routes,
    goals: GOALS,
  };
  if (PROFILE === 'soak') {
    const all = [...Array(slices()).keys()];
    result.slices = all.map((n) => row(metrics, `scenario:slice_${n}`));
  }
  const lines = Object.entries({ ...routes, all: result.all }).map(line);
  const out = { stdout: [...lines, ...broken, result.verdict, ''].join('\n') };
  if (__ENV.RESULT) out[__ENV.RESULT] = JSON.stringify(result, null, 1);
  return out;
}
