// What an operator asks: are promises kept, how do routes do, what does it cost?
// These need the scope performance.
import { $, bars, call, element, figure, fill, round } from "./dom.js";

const PAGING_BURN = 14.4;
const PERCENT = 100;

function percent(share, digits = 2) {
  return share === null || share === undefined ? "–" : `${round(PERCENT * share, digits)} %`;
}

function milliseconds(value) {
  return value === null || value === undefined ? "–" : round(value, 1);
}

function span(seconds) {
  if (seconds >= 86400) return `${round(seconds / 86400, 0)} d`;
  return seconds >= 3600 ? `${round(seconds / 3600, 0)} h` : `${round(seconds / 60, 0)} min`;
}

function toldState(state) {
  const worse = { burning: "degraded", exhausted: "unhealthy", no_data: "quiet" };
  return { text: state.replace("_", " "), className: worse[state] || "ok" };
}

function meter(name, share) {
  const cell = element("span", percent(share, 1));
  const bar = element("meter");
  Object.assign(bar, { min: 0, max: 1, low: 0.25, high: 0.5, optimum: 1 });
  bar.value = Math.max(0, Math.min(1, share));
  bar.setAttribute("aria-label", `error budget left of ${name}`);
  const both = element("span", undefined, "left");
  both.append(bar, cell);
  return { node: both };
}

// Promises ------------------------------------------------------------------------

function fastest(burn) {
  const [worst] = [...burn].sort((a, b) => b.rate - a.rate);
  if (!worst) return "–";
  const className = worst.rate >= PAGING_BURN ? "unhealthy" : worst.rate > 1 ? "degraded" : "";
  return { text: `${round(worst.rate, 1)} × over ${span(worst.window_seconds)}`, className };
}

export async function promises() {
  const [slo, known] = await Promise.all([call("/slo"), call("/alerts")]);
  const firing = known.alerts.filter((one) => one.phase === "firing");
  figure($("slo-figures"), {
    promises: slo.objectives.length,
    state: slo.state.replace("_", " "),
    "alerts firing": firing.length,
    "alerts pending": known.alerts.length - firing.length,
  });
  fill($("objectives"), slo.objectives.map((one) => [
    { text: one.name, className: "name" },
    toldState(one.state),
    `${percent(one.target)}${one.threshold_ms === null ? "" : ` within ${one.threshold_ms} ms`}`,
    percent(one.good_ratio, 3),
    Math.round(one.budget.requests),
    meter(one.name, one.budget.remaining),
    fastest(one.burn),
  ]));
  fill($("alerts"), known.alerts.map((one) => [
    { text: one.name, className: "name" },
    { text: one.severity, className: one.severity === "critical" ? "unhealthy" : "degraded" },
    one.acknowledged_by ? `${one.phase}, known to ${one.acknowledged_by}` : one.phase,
    new Date(1000 * one.since).toLocaleString(),
    { text: one.summary, className: "quiet" },
  ]));
  $("no-alerts").hidden = known.alerts.length > 0;
}

// Traffic -------------------------------------------------------------------------

export async function traffic() {
  const [status, errors] = await Promise.all([
    call("/performance/status"), call("/performance/errors?limit=20"),
  ]);
  $("traffic-summary").textContent =
    `${round(status.rate)} requests a second over ${span(status.window)}`;
  fill($("routes"), status.routes.map((one) => [
    one.route, round(one.rate, 3), milliseconds(one.p50_ms), milliseconds(one.p95_ms),
    milliseconds(one.p99_ms),
    { text: percent(one.error_ratio), className: one.error_ratio > 0 ? "n unhealthy" : "n" },
  ]));
  fill($("errors"), errors.errors.map((one) => [
    one.type, one.route, one.count, new Date(1000 * one.last_seen).toLocaleString(),
    { text: one.place, className: "quiet" },
  ]));
  $("no-errors").hidden = errors.errors.length > 0;
}

// Energy --------------------------------------------------------------------------

export async function energy() {
  const told = await call("/metrics/energy");
  const { low, high } = told.power;
  $("energy-source").textContent = told.measured
    ? `measured by ${told.source}`
    : `not measured: a ${told.source || "model"} tells it, within the band shown`;
  figure($("energy-figures"), {
    "power of Cortex": `${round(told.power.watts)} W (${round(low)}–${round(high)})`,
    "power of the machine": `${round(told.machine_watts, 1)} W`,
    "energy since the start": `${round(told.joules, 0).toLocaleString()} J`,
    "CO2e since the start": `${round(told.co2e_grams, 3)} g`,
    [`CO2e of ${told.sci.per_recalls.toLocaleString()} recalls`]:
      told.sci.co2e_grams === null ? "–" : `${round(told.sci.co2e_grams, 3)} g`,
    "grid": `${told.grid_grams_per_kwh} g/kWh`,
  });
  fill($("energy-routes"), told.routes.slice(0, 20).map((one) => [
    one.route, one.requests, round(one.cpu_seconds, 3), round(one.joules, 2),
    one.joules_per_request === null ? "–" : round(one.joules_per_request, 4),
  ]));
  const parts = { background: told.background_joules };
  for (const one of told.routes.slice(0, 7)) parts[one.route] = one.joules;
  bars($("energy-parts"), parts, told.joules);
}

// Models --------------------------------------------------------------------------

export async function models() {
  const found = await call("/models");
  fill($("models-table"), found.models.map((one) => [
    { text: one.name, className: "name" },
    one.active ? { text: "in use", className: "ok" } : one.loaded ? "loaded" : "known",
    one.modalities.join(", "), one.dimensions, one.runtime,
    round(one.memory_bytes / 1e6, 1), one.cache_hits, one.cache_misses,
    { text: one.license, className: "quiet" },
  ]));
}
