// The dashboard: reads the public API with the visitor's own token.
import { $, call, element, moment, part, setText, ZONE } from "./dom.js";
import { events, stop } from "./events.js";
import { build, ledger, newest, older, search, verify } from "./memory.js";
import { acknowledge, energy, forgetLines, models, promises, traffic } from "./operations.js";
import { overview } from "./overview.js";

const REFRESH_MS = 5000;
const KEPT = "cortex-token";
let view = "overview";
let busy = false;
let quietUntil = 0;
let heardAt = 0;

// Troubles ------------------------------------------------------------------------

function told(error) {
  if (error.status === 401) {
    return $("token").value.trim()
      ? `This token is not accepted: it is unknown or has expired. Enter another one. (${error.message})`
      : "This server wants a token. Enter yours under Token; “cortex tokens --help” tells how to make one.";
  }
  if (error.status === 429) return `Too many requests: waiting ${error.retryAfter || 5} s. (${error.message})`;
  if (error.status) return error.message;
  const since = heardAt ? ` What you see is from ${moment(heardAt).textContent}.` : "";
  return `The server does not answer; trying again every ${REFRESH_MS / 1000} s.${since}`;
}

function trouble(error) {
  setText($("problem"), told(error));
  $("problem").hidden = false;
  // Nothing of an earlier token stays on the screen, and no refusal is asked for twice.
  document.body.classList.toggle("locked", error.status === 401);
  if (error.status === 429) quietUntil = performance.now() + 1000 * (error.retryAfter || 5);
  if (!error.status) {
    setText($("status"), "no answer");
    $("status").className = "pill unhealthy";
  }
  if (error.status === 401) {
    stop();
    if (document.activeElement === document.body) $("token").focus();
  }
}

async function guarded(work) {
  try {
    await work();
    heardAt = Date.now() / 1000;
    $("problem").hidden = true;
    document.body.classList.remove("locked");
    return true;
  } catch (error) {
    trouble(error);
    return false;
  }
}

// Views ---------------------------------------------------------------------------

function offerNamespaces(names) {
  $("namespaces").replaceChildren(...names.map((name) => {
    const option = element("option");
    option.value = name;
    return option;
  }));
  for (const id of ["search-namespace", "context-namespace"]) {
    if (!$(id).value) $(id).value = names[0] || "default";
  }
}

async function first() {
  const names = await overview();
  if (names) offerNamespaces(names);
}

const asking = () => guarded(() => call("/healthz", undefined, { tolerate: [503] }));
const listening = () => part("events-part", () => events(asking));

// What is read when a view is opened; and of these, what is read anew while it is open.
const OPENED = {
  overview: first, promises, traffic, energy, models, memory: () => part("memory-part", newest),
  ledger: () => part("ledger-part", ledger), events: listening,
};
const LIVE = new Set(["overview", "promises", "traffic", "energy", "models", "ledger"]);

async function refresh() {
  if (busy || !OPENED[view]) return;
  busy = true;
  await guarded(OPENED[view]);
  busy = false;
}

function show(name) {
  view = name;
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.view !== name) button.removeAttribute("aria-current");
    else {
      button.setAttribute("aria-current", "page");
      button.scrollIntoView({ block: "nearest", inline: "nearest" });
      document.title = `${button.textContent} · Cortex`;
    }
  }
  window.scrollTo(0, 0);
  if (OPENED[name]) return guarded(OPENED[name]);
  return Promise.resolve(true);
}

function open(name) {
  if (location.hash !== `#${name}`) history.pushState(null, "", `#${name}`);
  show(name);
}

function on(id, type, work) {
  $(id).addEventListener(type, (event) => { event.preventDefault(); guarded(work); });
}

for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => { open(button.dataset.view); $("main").focus(); });
}
on("search-form", "submit", search);
on("context-form", "submit", build);
on("verify", "click", verify);
on("older", "click", older);
on("token-form", "submit", refreshed);
$("search-namespace").addEventListener("change", () => { if (!$("query").value) guarded(newest); });
$("alerts").addEventListener("click", (event) => {
  const { alert } = event.target.dataset;
  if (alert) guarded(() => acknowledge(alert));
});

async function refreshed() {
  sessionStorage.setItem(KEPT, $("token").value);
  forgetLines();
  stop();
  document.body.classList.remove("locked");
  if (view !== "overview") await first();
  await OPENED[view]?.();
}

$("token").value = sessionStorage.getItem(KEPT) || "";
$("token").addEventListener("change", () => guarded(refreshed));

// Start ---------------------------------------------------------------------------

function wanted() {
  const [name, asked] = decodeURIComponent(location.hash.slice(1)).split("?q=");
  const known = document.querySelector(`nav [data-view="${CSS.escape(name)}"]`);
  return { name: known ? name : "overview", asked };
}

async function start() {
  const { name, asked } = wanted();
  if (asked) $("query").value = $("context-query").value = asked;
  setText($("zone"), `Times are in ${ZONE.replaceAll("_", " ")}`);
  const seen = name === "overview" || await guarded(first);
  if (!seen) return;
  await show(name);
  if (asked && name === "memory") await guarded(search);
  if (asked && name === "context") await guarded(build);
}

window.addEventListener("popstate", () => show(wanted().name));
setInterval(() => {
  const silent = document.hidden || document.body.classList.contains("locked");
  if (!silent && LIVE.has(view) && performance.now() >= quietUntil) refresh();
}, REFRESH_MS);
start();
