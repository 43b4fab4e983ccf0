// What is remembered: search it, pack it, prove it.
import { $, at, bars, call, count, element, fill, moment, percent, round, says, setText, short } from "./dom.js";

const DROPPED_SHOWN = 50;
const HITS = 10;
const NEWEST = 10;
const WHY = {
  budget: "better ones filled the budget", duplicate: "the same text is in already",
  empty: "has no text", window: "fell out of the model's window",
};

function signals(hit) {
  const told = Object.entries(hit.signals || {}).filter(([, value]) => value > 0.0005).sort((a, b) => b[1] - a[1]);
  const box = element("div", undefined, "bars");
  bars(box, Object.fromEntries(told), Math.max(hit.score, 0.001), (value) => round(value, 3).toFixed(3));
  return box;
}

function about(one) {
  const line = element("div", undefined, "about quiet");
  line.append(element("strong", one.author || "no author"), " · ", moment(one.occurred_at));
  line.append(` · ${one.tier} tier`);
  if (one.kind && one.kind !== "message") line.append(` · ${one.kind}`);
  if (one.quarantined) line.append(element("span", "quarantined", "state unhealthy"));
  if (one.embedding === "pending") line.append(element("span", "not embedded yet", "state degraded"));
  return line;
}

function memory(one, place) {
  const item = element("li");
  item.append(about(one), element("p", one.content));
  if (one.signals) {
    const score = element("details");
    score.open = place === 0;
    score.append(element("summary", `score ${round(one.score).toFixed(2)} · confidence ${percent(one.confidence, 0)}`), signals(one));
    item.append(score);
  }
  item.append(element("code", one.id, "id"));
  return item;
}

export async function newest() {
  if ($("hits").dataset.kind === "found") return;
  const namespace = $("search-namespace").value || "default";
  const page = await call("/memory", undefined, { query: { namespace, limit: NEWEST } });
  setText($("search-summary"), page.memories.length
    ? `The newest ${page.memories.length === 1 ? "memory" : `${page.memories.length} memories`} of ${namespace}. Ask something to search it.`
    : `Nothing is stored in ${namespace}. “cortex remember "The launch moved to Friday."” stores a first memory.`);
  $("hits").replaceChildren(...page.memories.map(memory));
}

export async function search() {
  setText($("search-summary"), "searching …");
  const found = await call("/memory/search", {
    query: $("query").value, top_k: HITS, mode: $("mode").value, explain: true,
    namespace: $("search-namespace").value || "default",
  });
  const sure = found.low_confidence ? " Probably none of them answers the question." : "";
  setText($("search-summary"), found.hits.length
    ? `${found.hits.length} found, the best with a confidence of ${percent(found.confidence, 0)}.${sure}`
    : "Nothing was found. Another namespace or other words may do.");
  $("search-summary").className = found.low_confidence ? "notice degraded" : "notice";
  $("hits").dataset.kind = "found";
  $("hits").replaceChildren(...found.hits.map(memory));
}

// Context -------------------------------------------------------------------------

function tokenBar(built) {
  const share = Math.min(100, (100 * built.total_tokens) / built.budget);
  const bar = $("token-bar");
  bar.hidden = false;
  bar.replaceChildren(...built.included.map((one) => {
    const piece = element("span");
    piece.style.flexGrow = one.tokens;
    piece.title = `${one.tokens} tokens · ${one.id}`;
    return piece;
  }));
  bar.setAttribute("aria-valuenow", round(share, 0));
  bar.setAttribute("aria-valuetext", `${built.total_tokens} of ${built.budget} tokens`);
  // The pieces share the width that their sum has of the budget.
  bar.style.paddingRight = `${100 - share}%`;
}

export async function build() {
  setText($("context-summary"), "building …");
  const built = await call("/context", {
    query: $("context-query").value, model: $("context-model").value,
    max_tokens: Number($("context-budget").value),
    namespace: $("context-namespace").value || "default",
  });
  const exact = built.token_exact ? "counted exactly" : "at most, as";
  setText($("context-summary"),
    `${count(built.total_tokens)} of ${count(built.budget)} tokens (${exact} by ${built.token_method}) · ${count(built.included.length)} memories in, ${count(built.dropped.length)} left out.`
    + (built.low_confidence ? " Probably nothing stored answers the question." : ""));
  $("context-summary").className = built.low_confidence ? "notice degraded" : "notice";
  tokenBar(built);
  setText($("context-text"), built.text);
  $("context-parts").hidden = false;
  fill($("included"), built.included.map((one) => [
    { text: one.id, className: "id" }, one.tokens, { text: short(one.score), className: "n" },
    one.compression === "none" ? "whole" : `${one.compression}, of ${count(one.tokens_before)} tokens`,
  ]));
  const reasons = {};
  for (const one of built.dropped) reasons[one.reason] = (reasons[one.reason] || 0) + 1;
  setText($("dropped-summary"), Object.entries(reasons).map(([reason, many]) => `${count(many)} × ${WHY[reason] || reason}`).join(" · ") || "Nothing was left out.");
  fill($("dropped"), built.dropped.slice(0, DROPPED_SHOWN).map((one) => [{ text: one.id, className: "id" }, WHY[one.reason] || one.reason]));
  const unseen = built.dropped.length - DROPPED_SHOWN;
  setText($("dropped-more"), unseen > 0 ? `and ${count(unseen)} more` : "");
}

// Ledger --------------------------------------------------------------------------

let before = null;

function entry(one) {
  const { actor, ids, agent_name, ...data } = one.data || {};
  const who = one.agent_name || one.actor || "Cortex";
  return [
    one.index, at(one.recorded_at), { text: one.kind, className: "kind" }, one.subject ? `${who}, of ${one.subject}` : who,
    { text: says(data, one.subject), className: "quiet wide" },
    { text: `${one.entry_hash.slice(0, 12)}…`, title: one.entry_hash, className: "id" },
  ];
}

let entries = [];

async function page(older) {
  const query = { limit: 25 };
  if (older && before !== null) query.before = before;
  const found = await call("/audit/entries", undefined, { query });
  before = found.next_before;
  entries = older ? [...entries, ...found.entries] : found.entries;
  fill($("entries"), entries.map(entry));
  $("older").hidden = before === null;
}

export const older = () => page(true);

export async function ledger() {
  const checkpoint = await call("/audit/checkpoint", undefined, { tolerate: [403, 404] });
  const text = typeof checkpoint === "string" ? checkpoint : "";
  setText($("checkpoint"), text || checkpoint.detail);
  const [origin, size] = text.split("\n");
  setText($("ledger-size"), size ? `${count(Number(size))} entries under a head signed by ${origin}` : "");
  if (entries.length <= 25) await page(false);
}

export async function verify() {
  $("verify").disabled = true;
  setText($("verdict-ledger"), "verifying every entry …");
  $("verdict-ledger").className = "quiet";
  try {
    const found = await call("/audit/verify", {});
    const intact = found.verdict === "intact";
    const place = found.index === null || found.index === undefined ? "" : ` at entry ${found.index}`;
    setText($("verdict-ledger"), intact
      ? `intact: ${count(found.size)} entries, each one checked against the signed head`
      : `${found.verdict}: ${found.reason}${place}`);
    $("verdict-ledger").className = intact ? "ok" : "unhealthy";
  } catch (error) {
    setText($("verdict-ledger"), "");
    throw error;
  } finally {
    $("verify").disabled = false;
  }
}
