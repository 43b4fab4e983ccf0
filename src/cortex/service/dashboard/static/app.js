// The dashboard: reads the public API with the visitor's own token.
import { $, bars, call, element, figure, fill, guarded, round } from "./dom.js";
import { energy, models, promises, traffic } from "./operations.js";

const REFRESH_MS = 5000;
const EVENTS_SHOWN = 200;
let view = "overview";
let stream = null;

// Overview ------------------------------------------------------------------------

function requestRows(text) {
  const rows = new Map();
  const line = /^cortex_http_request_seconds_(count|sum)\{(.*)\} (\S+)$/gm;
  for (const [, kind, labels, value] of text.matchAll(line)) {
    const read = Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1], m[2]]));
    const key = `${read.route} ${read.method} ${read.status}`;
    const row = rows.get(key) || { ...read, count: 0, sum: 0 };
    row[kind] = Number(value);
    rows.set(key, row);
  }
  return [...rows.values()].sort((a, b) => b.count - a.count);
}

function metric(text, name) {
  const found = text.match(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m"));
  return found ? Number(found[1]) : 0;
}

async function overview() {
  const health = await call("/healthz", undefined, { tolerate: [503] });
  $("status").textContent = `${health.status} · ${health.version}`;
  $("status").className = `pill ${health.status}`;
  fill($("checks"), Object.entries(health.checks).map(([name, check]) => {
    const { status, latency_ms, error, ...facts } = check;
    const told = error || Object.entries(facts).map(([k, v]) => `${k} ${v}`).join(", ");
    return [name, { text: status, className: status }, round(latency_ms), { text: told, className: "quiet" }];
  }));
  const text = await call("/metrics");
  fill($("requests"), requestRows(text).slice(0, 15).map((row) => [
    row.route, row.method, row.status, row.count, round((1000 * row.sum) / Math.max(row.count, 1)),
  ]));
  const [stats, registry] = await Promise.all([call("/memory/stats"), call("/models")]);
  const figures = {
    memories: stats.total,
    "bytes of content": stats.bytes_total,
    "embeddings pending": stats.pending_embeddings,
    searches: metric(text, "cortex_searches_total"),
    "contexts built": metric(text, "cortex_contexts_built_total"),
    forgotten: metric(text, "cortex_memories_forgotten_total"),
  };
  figure($("figures"), figures);
  bars($("tiers"), stats.by_tier, stats.total);
  offerNamespaces(stats.by_namespace);
  fill($("loaded"), registry.models.filter((one) => one.loaded).map((one) => [
    one.name, one.active ? "in use" : "loaded", one.cache_hits ?? 0, one.cache_misses ?? 0,
  ]));
}

function offerNamespaces(counts) {
  const names = Object.keys(counts).sort((a, b) => counts[b] - counts[a]);
  $("namespaces").replaceChildren(...names.map((name) => {
    const option = element("option");
    option.value = name;
    return option;
  }));
  for (const id of ["search-namespace", "context-namespace"]) {
    if (!$(id).value) $(id).value = names[0] || "default";
  }
}

// Memory --------------------------------------------------------------------------

async function search() {
  const found = await call("/memory/search", {
    query: $("query").value, top_k: 10, mode: $("mode").value, explain: true,
    namespace: $("search-namespace").value || "default",
  });
  const sure = found.low_confidence ? "low confidence: probably nothing stored answers this" : "";
  $("search-summary").textContent =
    `${found.hits.length} hits, confidence ${round(found.confidence)} ${sure}`;
  $("hits").replaceChildren(...found.hits.map((hit) => {
    const item = element("li");
    const when = new Date(1000 * hit.occurred_at).toLocaleString();
    item.append(
      element("div", `${hit.author || "someone"} · ${when} · ${hit.tier} · score ${round(hit.score)} · confidence ${round(hit.confidence)}`, "quiet"),
      element("p", hit.content),
    );
    const signals = element("div", undefined, "bars");
    const told = Object.fromEntries(Object.entries(hit.signals || {}).filter(([, v]) => v > 0));
    bars(signals, told, Math.max(hit.score, 0.001));
    item.append(signals);
    return item;
  }));
}

// Context -------------------------------------------------------------------------

async function build() {
  const built = await call("/context", {
    query: $("context-query").value, model: $("context-model").value,
    max_tokens: Number($("context-budget").value),
    namespace: $("context-namespace").value || "default",
  });
  const exact = built.token_exact ? "exact" : "upper bound";
  const sure = built.low_confidence ? " · low confidence" : "";
  $("context-summary").textContent =
    `${built.total_tokens} of ${built.budget} tokens (${exact}, ${built.token_method}) · ${built.included.length} memories in, ${built.dropped.length} left out${sure}`;
  $("token-bar").hidden = false;
  $("token-bar").firstElementChild.style.width = `${(100 * built.total_tokens) / built.budget}%`;
  $("context-text").textContent = built.text;
  $("dropped").hidden = $("dropped-title").hidden = !built.dropped.length;
  fill($("dropped"), built.dropped.slice(0, 50).map((one) => [one.id, one.reason]));
}

// Ledger --------------------------------------------------------------------------

async function ledger() {
  $("checkpoint").textContent = await call("/audit/checkpoint", undefined, { tolerate: [404] });
  const page = await call("/audit/entries?limit=25");
  fill($("entries"), page.entries.map((one) => [
    one.index, one.recorded_at, one.kind, one.actor || "", `${one.entry_hash.slice(0, 16)}…`,
  ]));
}

async function verify() {
  $("verdict").textContent = "verifying …";
  const found = await call("/audit/verify", {});
  const intact = found.verdict === "intact";
  const at = found.index === null || found.index === undefined ? "" : ` at entry ${found.index}`;
  $("verdict").textContent = intact ? `intact: ${found.size} entries` : `${found.verdict}: ${found.reason}${at}`;
  $("verdict").className = intact ? "ok" : "unhealthy";
}

// Events --------------------------------------------------------------------------

function follow() {
  if (stream) stream.close();
  const token = $("token").value.trim();
  stream = new EventSource(`/events/stream${token ? `?token=${encodeURIComponent(token)}` : ""}`);
  stream.onopen = () => { $("stream-state").textContent = "live"; };
  stream.onerror = () => { $("stream-state").textContent = "reconnecting …"; };
  const show = (event) => {
    const told = JSON.parse(event.data);
    const row = element("tr");
    row.append(
      element("td", told.time), element("td", told.type), element("td", JSON.stringify(told.data), "quiet"),
    );
    const body = $("stream").tBodies[0];
    body.prepend(row);
    while (body.rows.length > EVENTS_SHOWN) body.deleteRow(-1);
  };
  for (const name of EVENT_NAMES) stream.addEventListener(name, show);
}

const EVENT_NAMES = [
  "memory.stored", "memory.updated", "memory.forgotten", "memory.quarantined",
  "memory.released", "memory.promoted", "memory.demoted", "agents.planned",
  "agents.reflected", "model.called", "embedding.caught_up", "state.updated",
  "state.snapshot", "state.invalidated", "vector.indexed", "vector.deleted",
  "vector.searched", "audit.recorded", "audit.rotated", "health.degraded",
  "health.recovered", "context.packed", "context.overflow", "scaling.triggered",
  "query.routed", "gpu.allocated", "cache.miss", "alert.fired", "alert.acknowledged",
  "alert.escalated", "alert.resolved", "config.changed", "config.rolledback",
  "slo.burning", "slo.recovered", "deploy.started", "deploy.promoted",
  "deploy.rolledback", "security.token_issued", "security.token_rotated",
  "security.token_revoked", "security.access_denied", "security.denials_repeated",
  "security.tokens_sprayed", "security.rate_impossible", "security.tampering_found",
];

// Views ---------------------------------------------------------------------------

// Views that are read anew while they are looked at.
const LIVE = { overview, promises, traffic, energy, models };

function show(name) {
  view = name;
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.view === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  history.replaceState(null, "", `#${name}`);
  if (LIVE[name]) guarded(LIVE[name]);
  if (name === "ledger") guarded(ledger);
  if (name === "events" && !stream) follow();
}

function on(id, type, work) {
  $(id).addEventListener(type, (event) => { event.preventDefault(); guarded(work); });
}

for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => { show(button.dataset.view); $("main").focus(); });
}
on("search-form", "submit", search);
on("context-form", "submit", build);
on("verify", "click", verify);
on("token-form", "submit", () => (LIVE[view] || overview)());
$("token").value = sessionStorage.getItem("cortex-token") || "";
$("token").addEventListener("change", () => {
  sessionStorage.setItem("cortex-token", $("token").value);
  guarded(LIVE[view] || overview);
  if (stream) follow();
});

const [wanted, asked] = decodeURIComponent(location.hash.slice(1)).split("?q=");
if (asked) $("query").value = $("context-query").value = asked;
show(document.querySelector(`nav [data-view="${CSS.escape(wanted)}"]`) ? wanted : "overview");
guarded(async () => {
  if (view !== "overview") await overview();
  if (asked && view === "memory") await search();
  if (asked && view === "context") await build();
});
setInterval(() => { if (LIVE[view] && !document.hidden) guarded(LIVE[view]); }, REFRESH_MS);
