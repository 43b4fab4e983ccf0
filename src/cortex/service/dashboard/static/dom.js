// What every view draws with. Every text is set as text (textContent), so that no stored
// content can become markup; what has not changed is not touched, so that nothing jumps
// and no selection is lost.

export const $ = (id) => document.getElementById(id);

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Numbers and times ---------------------------------------------------------------

export function round(value, digits = 2) {
  return Number(value.toFixed(digits));
}

export function count(value) {
  return Math.round(value).toLocaleString();
}

// Three figures are enough to judge by.
export function short(value) {
  const size = Math.abs(value);
  if (size >= 100) return count(value);
  return round(value, size >= 10 ? 1 : size >= 1 ? 2 : 3).toLocaleString(undefined, { maximumFractionDigits: 3 });
}

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value >= 10000 ? `${short(value / 1000)} s` : `${short(value)} ms`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${unit ? short(size) : size} ${units[unit]}`;
}

// Energy and grams span many orders: 0.000003 says little, 3 µg says it.
export function prefixed(value, unit) {
  const size = Math.abs(value);
  if (size >= 1000) return `${short(value / 1000)} k${unit}`;
  if (size >= 1 || size === 0) return `${short(value)} ${unit}`;
  return size >= 0.0001 ? `${short(value * 1e3)} m${unit}` : `${short(value * 1e6)} µ${unit}`;
}

export function percent(share, digits = 2) {
  return share === null || share === undefined ? "–" : `${round(100 * share, digits)} %`;
}

export function span(seconds) {
  const several = (size, name) => `${Math.round(seconds / size)} ${name}`;
  if (seconds >= 172800) return several(86400, "days");
  if (seconds >= 3600) return several(3600, "h");
  return seconds >= 60 ? several(60, "min") : several(1, "s");
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

// Today's clock time, else the day too; whoever points at it sees UTC.
export function moment(when) {
  const date = new Date(typeof when === "number" ? 1000 * when : when);
  const today = date.toDateString() === new Date().toDateString();
  const made = element("time", today ? CLOCK.format(date) : `${DAY.format(date)}, ${MINUTE.format(date)}`);
  made.dateTime = made.title = date.toISOString();
  return made;
}

// Tables --------------------------------------------------------------------------

function draw(cell, told) {
  const plain = told === null || typeof told !== "object";
  const text = plain ? String(told ?? "") : told.text;
  const className = typeof told === "number" ? "n" : (plain ? "" : told.className) || "";
  if (cell.className !== className) cell.className = className;
  const title = (!plain && told.title) || "";
  if (cell.title !== title) cell.title = title;
  if (!plain && told.node) {
    const key = told.key ?? told.node.textContent;
    if (cell.dataset.key === key) return;
    cell.dataset.key = key;
    cell.replaceChildren(told.node);
    return;
  }
  // A row may now tell of another thing: what was drawn before it goes.
  if (cell.dataset.key !== undefined) {
    delete cell.dataset.key;
    cell.replaceChildren();
  }
  setText(cell, typeof told === "number" ? told.toLocaleString() : text);
}

export function fill(table, rows) {
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, at) => {
    const row = body.rows[at] || body.insertRow();
    cells.forEach((told, place) => draw(row.cells[place] || row.insertCell(), told));
  });
  // An empty table says nothing; the line that follows it says why.
  const frame = table.closest(".scroll") || table;
  frame.hidden = rows.length === 0;
  const why = frame.nextElementSibling;
  if (why?.classList.contains("empty")) why.hidden = rows.length > 0;
}

export function at(when) {
  const node = moment(when);
  return { node, key: node.textContent, className: "when" };
}

export function state(text, className) {
  return { node: element("span", text, `state ${className}`), key: text + className };
}

// What an event or an entry holds, in words: ids are counted, the sealed stays sealed.
export function says(data, known = "") {
  const empty = (value) => value === known || value === "" || value === null || value === undefined || value.length === 0;
  return Object.entries(data || {}).filter(([, value]) => !empty(value)).map(([key, value]) => {
    const name = key.replaceAll("_", " ");
    if (Array.isArray(value)) return `${value.length} ${value.length === 1 ? name.replace(/s$/, "") : name}`;
    if (key === "sealed") return "content sealed";
    if (typeof value === "number") return `${name} ${short(value)}`;
    return `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`;
  }).join(" · ");
}

// Parts of a whole ----------------------------------------------------------------

export function bars(target, values, total, told = short) {
  const rows = Object.entries(values);
  while (target.children.length > rows.length) target.lastChild.remove();
  rows.forEach(([name, value], place) => {
    let row = target.children[place];
    if (!row) {
      row = element("div");
      const track = element("span", undefined, "track");
      track.append(element("span"));
      row.append(element("span", undefined, "name"), track, element("span", undefined, "n"));
      target.append(row);
    }
    setText(row.children[0], name);
    row.children[0].title = name;
    row.children[1].firstChild.style.width = `${total ? Math.min(100, (100 * value) / total) : 0}%`;
    setText(row.children[2], told(value));
  });
}

// A list of names with a figure each, and below it what the figure means.
export function figure(target, values) {
  const told = Object.entries(values);
  while (target.children.length > told.length) target.lastChild.remove();
  told.forEach(([name, value], place) => {
    let box = target.children[place];
    if (!box) {
      box = element("div");
      box.append(element("dt"), element("dd"), element("dd", undefined, "note"));
      target.append(box);
    }
    const { text, note = "", className = "" } = typeof value === "object" ? value : { text: value };
    setText(box.children[0], name);
    setText(box.children[1], typeof text === "number" ? text.toLocaleString() : text);
    box.children[1].className = className;
    setText(box.children[2], note);
    box.children[2].hidden = !note;
  });
}

// Calls ---------------------------------------------------------------------------

export class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export async function call(path, body, { tolerate = [], query } = {}) {
  const headers = {};
  const token = $("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  const wanted = query ? `${path}?${new URLSearchParams(query)}` : path;
  const answer = await fetch(wanted, { method, headers, body: body && JSON.stringify(body) });
  const json = (answer.headers.get("content-type") || "").includes("json");
  const content = json ? await answer.json() : await answer.text();
  if (!answer.ok && !tolerate.includes(answer.status)) {
    const after = Number(answer.headers.get("retry-after")) || 0;
    throw new Refused(answer.status, content.detail || `${path} answered ${answer.status}`, after);
  }
  return content;
}

// Draw one part of a view. What this token may not see is left out, and says so.
export async function part(id, work) {
  const box = $(id);
  let why = box.querySelector(":scope > .why");
  try {
    await work();
    box.classList.remove("withheld");
    return true;
  } catch (error) {
    if (error.status !== 403) throw error;
    if (!why) box.append(why = element("p", undefined, "why empty"));
    setText(why, `Not shown: ${error.message}`);
    box.classList.add("withheld");
    return false;
  }
}
