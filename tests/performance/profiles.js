// What all load scripts share: profiles, thresholds, one way to call, one result.
//
//   BASE_URL  the server               http://127.0.0.1:4949
//   TOKEN     bearer token, if needed
//   PROFILE   short | full | stress | soak
//   RATE      requests a second of full and soak; iterations begin in time, whether or
//             not earlier ones were answered (an open model)
//   HOLD      seconds of full at that rate, between ten of rise and of fall
//   SLACK     factor on latency budgets, for machines that do other work besides
//   RESULT    file for the result as JSON
import exec from 'k6/execution';
import http from 'k6/http';
import { check } from 'k6';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:4949').replace(/\/$/, '');
const PROFILE = __ENV.PROFILE || 'short';
const RATE = Number(__ENV.RATE || 20);
const HOLD_SECONDS = Number(__ENV.HOLD || 40);
const SLACK = Number(__ENV.SLACK || 1);
const FAILED_MAX = 0.005;
const STRESS_RATE = 50 * RATE;
const SOAK_HALF_SECONDS = 300;
const CLIENTS_OF_USER = 250;
const BUDGETS = {};
const shape = { requests: 1 };

function arriving(startRate, stages, startTime) {
  return {
    executor: 'ramping-arrival-rate',
    startRate,
    timeUnit: PROFILE === 'short' ? '1s' : `${shape.requests}s`,
    preAllocatedVUs: PROFILE === 'short' ? 20 : 100,
    maxVUs: PROFILE === 'stress' ? 1000 : 200,
    gracefulStop: '10s',
    startTime: startTime || '0s',
    stages,
  };
}

function steady(seconds, startTime) {
  return arriving(RATE, [{ target: RATE, duration: `${seconds}s` }], startTime);
}

const SCENARIOS = {
  short: () => ({
    load: arriving(2, [{ target: 10, duration: '1s' }, { target: 10, duration: '1s' }]),
  }),
  full: () => ({
    load: arriving(1, [
      { target: RATE, duration: '10s' },
      { target: RATE, duration: `${HOLD_SECONDS}s` },
      { target: 0, duration: '10s' },
    ]),
  }),
  // More than the server can bear, then the usual rate again: only that is judged.
  stress: () => ({
    push: arriving(RATE, [{ target: STRESS_RATE, duration: '40s' }]),
    recovered: steady(20, '80s'),
  }),
  // Two halves, so that their latencies can be compared.
  soak: () => ({
    early: steady(SOAK_HALF_SECONDS),
    late: steady(SOAK_HALF_SECONDS, `${SOAK_HALF_SECONDS}s`),
  }),
};

// budgets: {route: p95 in ms}. Every route gets a threshold, so that the result has
// its latency and its success rate side by side.
// requests: how many one iteration sends.
export function profile(budgets, requests) {
  shape.requests = requests;
  Object.assign(BUDGETS, budgets);
  const judged = PROFILE === 'stress' ? ['scenario:recovered'] : [];
  const thresholds = {};
  const put = (name, tags, rule) => {
    const all = [...tags, ...judged];
    thresholds[all.length ? `${name}{${all.join(',')}}` : name] = rule;
  };
  put('http_req_failed', [], [`rate<${FAILED_MAX}`]);
  put('checks', [], [`rate>${1 - FAILED_MAX}`]);
  for (const [route, milliseconds] of Object.entries(budgets)) {
    put('http_req_duration', [`route:${route}`], [`p(95)<${SLACK * milliseconds}`]);
    put('http_req_failed', [`route:${route}`], [`rate<${FAILED_MAX}`]);
    put('http_reqs', [`route:${route}`], ['count>0']);
  }
  if (PROFILE === 'soak') {
    for (const half of ['early', 'late']) {
      thresholds[`http_req_duration{scenario:${half}}`] = ['p(95)>=0'];
    }
  }
  // An iteration that could not start in time is load that was not there.
  if (PROFILE !== 'stress') thresholds.dropped_iterations = ['count<1'];
  return {
    scenarios: SCENARIOS[PROFILE](),
    thresholds,
    summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
    setupTimeout: '60s',
  };
}

// One of many clients, so that limits of one client do not hide the server: an address
// that counts only where CORTEX_TRUSTED_PROXIES names the machine that runs k6.
function client() {
  const user = exec.vu.idInTest;
  return `10.${user >> 8}.${user & 255}.${exec.vu.iterationInInstance % CLIENTS_OF_USER}`;
}

function headers(more) {
  const token = __ENV.TOKEN ? { Authorization: `Bearer ${__ENV.TOKEN}` } : {};
  return { 'X-Forwarded-For': client(), ...token, ...more };
}

function judged(answer, route, holds) {
  check(answer, { [`${route} answers rightly`]: (a) => a.status === 200 && holds(a) });
  return answer;
}

export function get(path, holds = () => true, route = path) {
  const answer = http.get(BASE_URL + path, { headers: headers(), tags: { route } });
  return judged(answer, route, holds);
}

export function post(path, body, holds = () => true, route = path) {
  const sent = { headers: headers({ 'Content-Type': 'application/json' }), tags: { route } };
  return judged(http.post(BASE_URL + path, JSON.stringify(body), sent), route, holds);
}

export function upload(path, fields, holds = () => true, route = path) {
  const sent = { headers: headers(), tags: { route } };
  return judged(http.post(BASE_URL + path, fields, sent), route, holds);
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

export function summary(data) {
  const metrics = data.metrics;
  const broken = [];
  const routes = {};
  for (const [name, metric] of Object.entries(metrics)) {
    for (const [rule, state] of Object.entries(metric.thresholds || {})) {
      if (!state.ok) broken.push(`${name}: ${rule}`);
    }
    const found = name.match(/^http_reqs\{(route:([^,}]+).*)\}$/);
    if (found) routes[found[2]] = row(metrics, found[1]);
  }
  const checks = values(metrics, 'checks');
  const result = {
    profile: PROFILE,
    rate: RATE,
    slack: SLACK,
    verdict: broken.length ? 'failed' : 'passed',
    broken,
    all: row(metrics, ''),
    checks: { passes: checks.passes || 0, fails: checks.fails || 0 },
    dropped: values(metrics, 'dropped_iterations').count || 0,
    routes,
    budgets: BUDGETS,
  };
  for (const half of ['early', 'late']) {
    const found = values(metrics, `http_req_duration{scenario:${half}}`);
    if (PROFILE === 'soak') result[`${half}_p95_ms`] = found['p(95)'];
  }
  const lines = Object.entries({ ...routes, all: result.all }).map(([name, one]) => {
    const told = one.success_rate === null ? '-' : (100 * one.success_rate).toFixed(2);
    const p95 = one.p95_ms === undefined ? '-' : one.p95_ms.toFixed(1);
    return `${name.padEnd(24)} ${String(one.requests).padStart(7)} requests  success ${told} %  p95 ${p95} ms`;
  });
  const out = { stdout: [...lines, ...broken, result.verdict, ''].join('\n') };
  if (__ENV.RESULT) out[__ENV.RESULT] = JSON.stringify(result, null, 1);
  return out;
}
