// What every view draws with. Every text is set as text (textContent), so that no stored
// content can become markup.

export const $ = (id) => document.getElementById(id);

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function fill(table, rows) {
  const body = table.tBodies[0];
  body.replaceChildren(...rows.map((cells) => {
    const row = element("tr");
    for (const cell of cells) {
      const numeric = typeof cell === "number";
      const text = numeric ? cell.toLocaleString() : cell.text ?? cell;
      const made = element("td", cell.node ? undefined : text, numeric ? "n" : cell.className);
      if (cell.node) made.append(cell.node);
      row.append(made);
    }
    return row;
  }));
}

export async function call(path, body, { tolerate = [] } = {}) {
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

export async function guarded(work) {
  try {
    await work();
    $("problem").hidden = true;
  } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
  }
}

export function round(value, digits = 2) {
  return Number(value.toFixed(digits));
}

export function bars(target, values, total) {
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

// A list of names with a figure each; texts are shown as they are.
export function figure(target, values) {
  target.replaceChildren(...Object.entries(values).map(([name, value]) => {
    const box = element("div");
    const shown = typeof value === "number" ? value.toLocaleString() : value;
    box.append(element("dt", name), element("dd", shown));
    return box;
  }));
}
