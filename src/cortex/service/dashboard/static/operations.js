// What an operator asks: are promises kept, how do routes do, what does it cost?
// These need the scope performance; errors and log lines are the operator's alone.
import { $, at, bars, call, count, element, figure, fill, milliseconds, part, percent, prefixed, round, setText, short, span, state } from "./dom.js";
import { broken, promised } from "./overview.js";

const PAGING_BURN = 14.4;
const REQUESTS_SHOWN = 25;
const PARTS_SHOWN = 8;
const OWN = /^\/($|dashboard\/|performance\/|slo$|alerts$|health|ready$|metrics|memory\/stats$|inference$|models$)/;
const ENDLESS = "/events/stream";
const STATES = { burning: "degraded", exhausted: "unhealthy", no_data: "quiet" };
const ORDER = { exhausted: 0, burning: 1, ok: 2, no_data: 3 };
const SEVERE = { critical: "unhealthy", emergency: "unhealthy", warning: "degraded", info: "quiet" };

// A handful of requests breaks no promise, whatever share of them was bad.
function standing(one) {
  if (one.state === "ok" && one.budget.spent > 1) return state("few requests", "quiet");
  return state(one.state.replace("_", " "), STATES[one.state] || "ok");
}

// Promises ------------------------------------------------------------------------

function meter(name, share) {
  const bar = element("meter");
  Object.assign(bar, { min: 0, max: 1, low: 0.25, high: 0.5, optimum: 1 });
  bar.value = Math.max(0, Math.min(1, share));
  bar.setAttribute("aria-label", `error budget left of ${name}`);
  const both = element("span", undefined, "left");
  both.append(bar, element("span", percent(share, 1)));
  return { node: both, key: String(share) };
}

function fastest(burn) {
  const [worst] = [...burn].sort((a, b) => b.rate - a.rate);
  if (!worst || worst.rate === 0) return { text: "–", title: "not burning", className: "quiet" };
  const className = worst.rate >= PAGING_BURN ? "unhealthy" : worst.rate > 1 ? "degraded" : "";
  return { text: `${short(worst.rate)} × over ${span(worst.window_seconds)}`, className };
}

function acknowledging(one) {
  if (one.acknowledged_by) return { text: `known to ${one.acknowledged_by}`, className: "quiet" };
  if (one.phase !== "firing") return "";
  const button = element("button", "Acknowledge", "plain");
  button.type = "button";
  button.dataset.alert = one.name;
  button.setAttribute("aria-label", `Acknowledge ${one.name}`);
  return { node: button, key: `ask ${one.name}` };
}

export async function acknowledge(name) {
  await call("/alerts/acknowledge", { name });
  await promises();
}

async function objectives() {
  const [slo, known] = await Promise.all([call("/slo"), call("/alerts")]);
  const firing = known.alerts.filter((one) => one.phase === "firing");
  const judged = slo.objectives.filter((one) => one.state !== "no_data");
  const lost = judged.filter(broken);
  const waiting = known.alerts.length - firing.length;
  figure($("slo-figures"), {
    "promises kept": { text: `${judged.length - lost.length} of ${judged.length}`, className: lost.length ? "unhealthy" : "", note: judged.length < slo.objectives.length ? `${slo.objectives.length - judged.length} more had no requests` : "" },
    "budgets spent": count(lost.filter((one) => one.state === "exhausted").length),
    "alerts firing": { text: count(firing.length), className: firing.length ? "unhealthy" : "" },
    "alerts pending": { text: count(waiting), note: waiting ? "true, but not for long enough" : "" },
  });
  const sorted = [...slo.objectives].sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.name.localeCompare(b.name));
  fill($("objectives"), sorted.map((one) => [
    { text: one.group, className: "name", title: one.name },
    { text: promised(one), className: "kind" },
    standing(one),
    { text: percent(one.good_ratio, 3), className: "n" },
    { text: count(one.budget.requests), className: "n" },
    one.state === "no_data" ? { text: "–", className: "quiet" } : meter(one.name, one.budget.remaining),
    fastest(one.burn),
  ]));
  fill($("alerts"), known.alerts.map((one) => [
    { text: one.name, className: "name" },
    state(one.severity, SEVERE[one.severity] || "quiet"),
    one.phase, acknowledging(one), at(one.since), { text: one.summary, className: "quiet wide" },
  ]));
}

export const promises = () => part("promises-parts", objectives);

// Traffic -------------------------------------------------------------------------

async function routes() {
  const status = await call("/performance/status");
  const callers = status.routes.filter((one) => one.rate > 0 && !OWN.test(one.route));
  const rate = callers.reduce((sum, one) => sum + one.rate, 0);
  const failed = callers.reduce((sum, one) => sum + one.rate * one.error_ratio, 0);
  figure($("traffic-figures"), {
    "requests a second": { text: short(rate), note: `over ${span(status.window)}` },
    failed: { text: percent(rate ? failed / rate : 0), className: failed ? "unhealthy" : "", note: "answered 5xx" },
    routes: { text: count(callers.length), note: "asked for" },
  });
  fill($("routes"), callers.map((one) => [
    { text: one.route, className: "name" }, { text: short(one.rate), className: "n" },
    ...[one.p50_ms, one.p95_ms, one.p99_ms].map((value) => (one.route === ENDLESS
      ? { text: "open", title: "as long as its reader stays", className: "n quiet" }
      : { text: milliseconds(value), className: "n" })),
    { text: percent(one.error_ratio), className: one.error_ratio > 0 ? "n unhealthy" : "n" },
  ]));
}

async function spans() {
  const found = await call("/performance/spans");
  const spent = Object.fromEntries(found.parts.slice(0, PARTS_SHOWN).map((one) => [one.name, one.self_share]));
  bars($("spans"), spent, 1, (value) => percent(value, 1));
  setText($("spans-empty"), found.parts.length ? "" : "No request was traced in the last hour.");
  const { slowest } = found;
  const waited = {};
  for (const one of slowest?.critical_path || []) waited[one.name] = (waited[one.name] || 0) + one.ms;
  const [most] = Object.keys(waited).sort((a, b) => waited[b] - waited[a]);
  setText($("slowest"), slowest
    ? `Slowest kept trace: ${slowest.name}, ${milliseconds(slowest.ms)}, most of it in ${most}. “cortex perf trace ${slowest.trace_id}” tells more.`
    : "");
}

let newestLine = "";
let seen = [];

async function requests() {
  const query = newestLine ? { after: newestLine, limit: 1000 } : { text: '"request"', limit: 300 };
  const found = await call("/performance/logs", undefined, { query });
  const lines = newestLine ? [...found.lines].reverse() : found.lines;
  newestLine = found.newest || newestLine;
  const fresh = lines.filter((one) => one.event === "request" && !OWN.test(one.path));
  seen = [...fresh, ...seen].slice(0, REQUESTS_SHOWN);
  fill($("requests"), seen.map((one) => [
    at(one.timestamp), `${one.method} ${one.path}`,
    state(String(one.status), one.status >= 500 ? "unhealthy" : one.status >= 400 ? "degraded" : "ok"),
    { text: milliseconds(one.duration_ms), className: "n" }, one.subject || "nobody",
    { text: one.error_code || "", className: "quiet" },
  ]));
}

async function faults() {
  const errors = await call("/performance/errors?limit=20");
  fill($("errors"), errors.errors.map((one) => [
    { text: one.type, className: "name" }, one.route, one.count, at(one.last_seen),
    { text: one.place, className: "quiet" },
  ]));
}

// Another token sees other lines.
export function forgetLines() {
  newestLine = "";
  seen = [];
}

export async function traffic() {
  await part("traffic-parts", async () => { await Promise.all([routes(), spans()]); });
  await part("requests-part", requests);
  await part("errors-part", faults);
}

// Energy --------------------------------------------------------------------------

export const energy = () => part("energy-parts-box", async () => {
  const told = await call("/metrics/energy");
  const { low, high } = told.power;
  const band = (least, most, unit) => (told.measured ? "" : `between ${prefixed(least, unit)} and ${prefixed(most, unit)}`);
  setText($("energy-source"), told.measured
    ? `Measured by ${told.source}.`
    : `Estimated by a ${told.source || "model"}, not measured: true within the band below each figure.`);
  const recalls = count(told.sci.per_recalls);
  figure($("energy-figures"), {
    "power of Cortex, now": { text: prefixed(told.power.watts, "W"), note: band(low, high, "W") },
    "energy since the start": { text: prefixed(told.joules, "J"), note: band(told.low_joules, told.high_joules, "J") },
    "CO₂e since the start": { text: prefixed(told.co2e_grams, "g"), note: `at ${told.grid_grams_per_kwh} g a kWh` },
    [`CO₂e of ${recalls} recalls`]: { text: told.sci.co2e_grams === null ? "–" : prefixed(told.sci.co2e_grams, "g"), note: `from ${count(told.sci.recalls)} recalls` },
    "power of the machine": { text: prefixed(told.machine_watts, "W"), note: "all programs" },
  });
  fill($("energy-routes"), told.routes.slice(0, 20).map((one) => [
    { text: one.route, className: "name" }, one.requests,
    { text: `${round(one.cpu_seconds, 3).toLocaleString()} s`, className: "n" },
    { text: prefixed(one.joules, "J"), className: "n" },
    { text: one.joules_per_request === null ? "–" : prefixed(one.joules_per_request, "J"), className: "n" },
  ]));
  const parts = { "in the background": told.background_joules };
  for (const one of told.routes.slice(0, 7)) parts[one.route] = one.joules;
  bars($("energy-parts"), parts, told.joules, (value) => prefixed(value, "J"));
});

// Models --------------------------------------------------------------------------

export const models = () => part("models-parts", async () => {
  const [found, run] = await Promise.all([call("/models"), call("/inference")]);
  const loaded = found.models.filter((one) => one.loaded);
  const [hits, misses] = ["cache_hits", "cache_misses"].map((key) => loaded.reduce((sum, one) => sum + one[key], 0));
  figure($("model-figures"), {
    "in use": found.models.find((one) => one.active)?.name ?? "none",
    "memory of models": { text: `${count(run.memory_bytes / 1e6)} MB`, note: `of ${count(run.memory_bytes_max / 1e6)} MB allowed` },
    "texts known from before": { text: hits + misses ? percent(hits / (hits + misses), 1) : "–", note: `${count(hits)} of ${count(hits + misses)}` },
    power: { text: run.power.mode, note: run.power.low ? "saving: finds a little less" : "" },
  });
  fill($("models-table"), found.models.map((one) => [
    { text: one.name, className: "name", title: one.source },
    one.active ? state("in use", "ok") : state(one.loaded ? "loaded" : "known", "quiet"),
    one.modalities.join(", "), one.dimensions, one.runtime,
    { text: one.memory_bytes ? `${count(one.memory_bytes / 1e6)} MB` : "–", className: "n" }, one.cache_hits, one.cache_misses,
    { text: one.license, className: "quiet" },
  ]));
});
