// The dashboard: reads the public API with the visitor's own token. Every text is set
// as text (textContent), so that no stored content can become markup.

const $ = (id) => document.getElementById(id);
const REFRESH_MS = 5000;
const EVENTS_SHOWN = 200;
let view = "overview";
let stream = null;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fill(table, rows) {
  const body = table.tBodies[0];
  body.replaceChildren(...rows.map((cells) => {
    const row = element("tr");
    for (const cell of cells) {
      const numeric = typeof cell === "number";
      const text = numeric ? cell.toLocaleString() : cell.text ?? cell;
      row.append(element("td", text, numeric ? "n" : cell.className));
    }
    return row;
  }));
}

async function call(path, body, { tolerate = [] } = {}) {
  const headers = {};
  const token = $("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const json = (answer.headers.get("content-type") || "").includes("json");
  const content = json ? await answer.json() : await answer.text();
  if (!answer.ok && !tolerate.includes(answer.status)) {
    throw new Error(content.detail || `${path} answered ${answer.status}`);
  }
  return content;
}

async function guarded(work) {
  try {
    await work();
    $("problem").hidden = true;
  } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
  }
}

function round(value, digits = 2) {
  return Number(value.toFixed(digits));
}

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
  const [stats, models] = await Promise.all([call("/memory/stats"), call("/models")]);
  const figures = {
    memories: stats.total,
    "bytes of content": stats.bytes_total,
    "embeddings pending": stats.pending_embeddings,
    searches: metric(text, "cortex_searches_total"),
    "contexts built": metric(text, "cortex_contexts_built_total"),
    forgotten: metric(text, "cortex_memories_forgotten_total"),
  };
  $("figures").replaceChildren(...Object.entries(figures).map(([name, value]) => {
    const box = element("div");
    box.append(element("dt", name), element("dd", value.toLocaleString()));
    return box;
  }));
  bars($("tiers"), stats.by_tier, stats.total);
  offerNamespaces(stats.by_namespace);
  fill($("models"), (models.models || models.data || models).map((one) => [
    one.name || one.id, one.loaded ? "loaded" : "known", one.cache_hits ?? 0, one.cache_misses ?? 0,
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

function bars(target, values, total) {
  target.replaceChildren(...Object.entries(values).map(([name, value]) => {
    const row = element("div");
    const track = element("span", undefined, "track");
    const part = element("span");
    part.style.width = `${total ? Math.min(100, (100 * value) / total) : 0}%`;
    track.append(part);
    const shown = typeof value === "number" ? round(value).toLocaleString() : value;
    row.append(element("span", name), track, element("span", shown, "n"));
    return row;
  }));
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
  "memory.stored", "memory.updated", "memory.forgotten", "memory.promoted", "memory.demoted",
  "memory.quarantined", "memory.released", "context.packed", "context.overflow",
  "state.updated", "state.snapshot", "audit.recorded", "security.access_denied",
  "security.token_issued", "security.token_rotated", "security.token_revoked",
  "security.denials_repeated", "security.tokens_sprayed", "security.tampering_found",
];

// Views ---------------------------------------------------------------------------

function show(name) {
  view = name;
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.view === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  history.replaceState(null, "", `#${name}`);
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
on("token-form", "submit", overview);
$("token").value = sessionStorage.getItem("cortex-token") || "";
$("token").addEventListener("change", () => {
  sessionStorage.setItem("cortex-token", $("token").value);
  guarded(overview);
  if (stream) follow();
});

const [wanted, asked] = decodeURIComponent(location.hash.slice(1)).split("?q=");
if (asked) $("query").value = $("context-query").value = asked;
show(document.querySelector(`nav [data-view="${CSS.escape(wanted)}"]`) ? wanted : "overview");
guarded(async () => {
  await overview();
  if (asked && view === "memory") await search();
  if (asked && view === "context") await build();
});
setInterval(() => { if (view === "overview" && !document.hidden) guarded(overview); }, REFRESH_MS);
