// What happens, as it happens. A stream that is cut resumes where it was.
import { $, at, call, fill, says, setText } from "./dom.js";

const EVENTS_SHOWN = 200;
const BEFORE = 30;
const RETRY_MS = 5000;
let stream = null;
let retry = null;
let paused = false;
let told = [];

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

function draw() {
  const wanted = $("event-filter").value.trim().toLowerCase();
  const shown = told.filter((one) => !wanted || `${one.type} ${one.subject ?? ""} ${JSON.stringify(one.data)}`.toLowerCase().includes(wanted));
  fill($("stream"), shown.map((one) => [
    at(one.time), { text: one.type, className: "kind" }, one.subject || "", { text: says(one.data, one.subject), className: "quiet wide" },
  ]));
}

function heard(event) {
  const one = JSON.parse(event.data);
  if (told.some((known) => known.id === one.id)) return;
  told = [one, ...told].slice(0, EVENTS_SHOWN);
  if (!paused && !$("events").hidden) draw();
}

function name(state, className) {
  setText($("stream-state"), state);
  $("stream-state").className = `state ${className}`;
}

export function stop() {
  clearTimeout(retry);
  stream?.close();
  stream = null;
  told = [];
}

export function follow(refused) {
  clearTimeout(retry);
  stream?.close();
  const token = $("token").value.trim();
  name("connecting …", "quiet");
  stream = new EventSource(`/events/stream${token ? `?token=${encodeURIComponent(token)}` : ""}`);
  stream.onopen = () => name("live", "ok");
  stream.onerror = () => {
    name("cut off, trying again …", "degraded");
    // A refusal closes the stream for good; why, only a plain call can tell.
    if (stream.readyState !== EventSource.CLOSED) return;
    retry = setTimeout(async () => { if (await refused()) follow(refused); }, RETRY_MS);
  };
  for (const one of EVENT_NAMES) stream.addEventListener(one, heard);
}

export async function events(refused) {
  if (!told.length) {
    const page = await call("/events", undefined, { query: { limit: BEFORE } });
    told = page.events;
  }
  draw();
  if (!stream) follow(refused);
}

$("event-filter").addEventListener("input", draw);
$("pause").addEventListener("click", () => {
  paused = !paused;
  setText($("pause"), paused ? "Go on" : "Pause");
  $("pause").setAttribute("aria-pressed", String(paused));
  if (!paused) draw();
});
