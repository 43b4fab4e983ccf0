// The first look: does the promise hold, why not, what does it cost?
import { chart } from "./chart.js";
import { $, bars, bytes, call, count, element, figure, fill, milliseconds, part, percent, prefixed, setText, short, state } from "./dom.js";

const SPAN_SECONDS = 3600;
const HISTORY_MS = 20000;
const REASONS_SHOWN = 5;
const ROUTES = { metric: "cortex_http_request_seconds_count", fn: "rate", by: "" };
// What the dashboard and probes ask for themselves says nothing of what callers got.
const CALLERS = 'route!~"/|/dashboard/.*|/health.*|/ready|/metrics.*|/performance/.*|/slo|/alerts|/memory/stats|/inference|/models"';
let drawnAt = 0;

// "/memory:latency-p95" is for machines; people read what was promised of whom.
export function promised(one) {
  const kept = percent(one.target);
  return one.threshold_ms === null ? `${kept} answered` : `${kept} within ${one.threshold_ms} ms`;
}

export const broken = (one) => one.state === "exhausted" || one.state === "burning";

function reasonsOf(slo, alerts, health) {
  const reasons = [];
  for (const [name, check] of Object.entries(health.checks)) {
    if (check.status !== "ok") reasons.push([check.status, `${name.replaceAll("_", " ")} is ${check.status}`, check.error || check.reason || ""]);
  }
  for (const one of slo?.objectives.filter(broken) || []) {
    const worst = Math.max(...one.burn.map((burn) => burn.rate), 0);
    const spent = one.state === "exhausted" ? "its error budget is spent" : `${percent(one.budget.remaining, 0)} of its error budget is left`;
    const pace = worst > 1 ? `, burning ${short(worst)} × as fast as allowed` : "";
    reasons.push([one.state === "exhausted" ? "unhealthy" : "degraded",
      `${one.group}: ${promised(one)}`, `kept ${percent(one.good_ratio, 2)}; ${spent}${pace}`]);
  }
  const told = new Set(slo?.objectives.filter(broken).map((one) => one.name));
  for (const one of alerts || []) {
    if (one.phase !== "firing" || told.has(one.objective)) continue;
    reasons.push([one.severity === "warning" || one.severity === "info" ? "degraded" : "unhealthy", one.name, one.summary]);
  }
  return reasons.sort((a, b) => (b[0] === "unhealthy") - (a[0] === "unhealthy"));
}

function verdict(health, slo, reasons) {
  const judged = slo?.objectives.filter((one) => one.state !== "no_data") || [];
  const lost = judged.filter(broken).length;
  let className = "ok";
  let text = slo ? `All ${judged.length} promises hold.` : "The server is well.";
  if (slo && !judged.length) text = "No requests yet to judge promises by.";
  if (reasons.length && !lost) text = health.status === "ok" ? `${text} Something wants a look.` : `The server is ${health.status}.`;
  if (lost) text = `${lost} of ${judged.length} promises ${lost === 1 ? "does" : "do"} not hold.`;
  if (reasons.length) className = reasons[0][0] === "unhealthy" || lost ? "unhealthy" : "degraded";
  setText($("verdict-text"), text);
  $("verdict").className = `verdict ${className}`;
  const shown = reasons.slice(0, REASONS_SHOWN).map(([severity, name, why]) => {
    const row = element("li", undefined, severity);
    row.append(element("strong", name), element("span", why ? ` ${why}` : "", "quiet"));
    return row;
  });
  const more = reasons.length - shown.length;
  if (more > 0) shown.push(element("li", `and ${more} more, under Promises`, "quiet"));
  const list = $("reasons");
  if (list.textContent !== shown.map((row) => row.textContent).join("")) list.replaceChildren(...shown);
}

function cost(energy) {
  const served = energy.routes.reduce((sum, one) => sum + one.requests, 0);
  const joules = energy.routes.reduce((sum, one) => sum + one.joules, 0);
  const how = energy.measured ? `measured by ${energy.source}` : `estimated by a ${energy.source || "model"}`;
  const per = energy.sci.co2e_grams;
  return {
    power: { text: energy.seconds ? prefixed(energy.power.watts, "W") : "–", note: how },
    "a request": { text: served ? prefixed(joules / served, "J") : "–", note: "energy, since the start" },
    [`${count(energy.sci.per_recalls)} recalls`]: { text: per === null ? "–" : `${prefixed(per, "g")}`, note: "CO₂e" },
  };
}

async function history() {
  if (performance.now() - drawnAt < HISTORY_MS && drawnAt) return;
  const end = Date.now() / 1000;
  const over = { start: end - SPAN_SECONDS, end };
  const ask = async (query) => {
    const found = await call("/performance/history", undefined, { query });
    return found.series[0]?.points || [];
  };
  const [rate, slow, failed] = await Promise.all([
    ask({ ...ROUTES, labels: CALLERS }),
    ask({ metric: "cortex_http_request_seconds", fn: "quantile", q: 0.95, by: "", labels: CALLERS }),
    ask({ ...ROUTES, labels: `${CALLERS},status="5xx"` }),
  ]);
  const errors = new Map(failed);
  chart($("chart-rate"), "Requests a second", rate, { ...over, told: short });
  chart($("chart-slow"), "P95 of their time", slow, { ...over, told: (value) => milliseconds(1000 * value) });
  chart($("chart-failed"), "Failed", rate.map(([when, value]) => [when, value ? (errors.get(when) || 0) / value : 0]),
    { ...over, told: (value) => percent(value) });
  drawnAt = performance.now();
}

export function facts(check) {
  const { status, latency_ms, error, reason, ...rest } = check;
  const told = Object.entries(rest).map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`);
  return [error, reason, ...told].filter(Boolean).join(" · ");
}

// Who may not see promises is told how the server is, and what the rest would need.
async function operating(health) {
  let slo = null;
  let alerts = null;
  let why = "";
  try {
    const known = await Promise.all([call("/slo"), call("/alerts")]);
    slo = known[0];
    alerts = known[1].alerts;
  } catch (error) {
    if (error.status !== 403) throw error;
    why = `Promises, course and cost are not shown: ${error.message}`;
  }
  verdict(health, slo, reasonsOf(slo, alerts, health));
  setText($("not-promised"), why);
  $("course").hidden = $("costs").hidden = slo === null;
  if (!slo) return;
  figure($("cost-figures"), cost(await call("/metrics/energy")));
  await history();
}

async function stored() {
  const stats = await call("/memory/stats");
  figure($("figures"), {
    memories: count(stats.total),
    content: bytes(stats.bytes_total),
    namespaces: count(Object.keys(stats.by_namespace).length),
    "waiting to be embedded": count(stats.pending_embeddings),
  });
  bars($("tiers"), stats.by_tier, stats.total, count);
  const largest = Object.entries(stats.by_namespace).sort((a, b) => b[1] - a[1]);
  bars($("spaces"), Object.fromEntries(largest.slice(0, 8)), stats.total, count);
  setText($("spaces-more"), largest.length > 8 ? `and ${largest.length - 8} more` : "");
  $("nothing-stored").hidden = stats.total > 0;
  $("stored-parts").hidden = stats.total === 0;
  return largest.map(([name]) => name);
}

// Returns the namespaces, the largest first, or null where they may not be known.
export async function overview() {
  const health = await call("/healthz", undefined, { tolerate: [503] });
  setText($("status"), `${health.status} · ${health.version}`);
  $("status").className = `pill ${health.status}`;
  let names = null;
  await part("stored", async () => { names = await stored(); });
  fill($("checks"), Object.entries(health.checks).map(([name, check]) => [
    name.replaceAll("_", " "), state(check.status, check.status),
    { text: milliseconds(check.latency_ms), className: "n" }, { text: facts(check), className: "quiet wide" },
  ]));
  await operating(health);
  return names;
}
