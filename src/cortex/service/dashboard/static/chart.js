// A line over time, as a small picture with its figures in words beside it.
import { element, setText } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 64;
const GAP_SECONDS = 70;
const SPACE = "http:" + "//www.w3.org/2000/svg";

function drawn(name, attributes) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function frame(target, title) {
  const head = element("div", undefined, "chart-head");
  head.append(element("span", title), element("strong"));
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  picture.append(
    drawn("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1, class: "rule" }),
    drawn("path", { class: "area" }), drawn("path", { class: "line" }),
  );
  target.replaceChildren(head, picture, element("div", undefined, "chart-foot quiet"));
}

// Nothing was measured while the server was down: no line leads over such a gap.
function runs(points) {
  const found = [];
  for (const point of points) {
    const last = found.at(-1);
    if (last && point[0] - last.at(-1)[0] <= GAP_SECONDS) last.push(point);
    else found.push([point]);
  }
  return found;
}

// points: pairs of epoch seconds and value, over the span from `start` to `end`.
export function chart(target, title, points, { start, end, told }) {
  if (!target.firstChild) frame(target, title);
  const [head, picture, foot] = target.children;
  const known = points.filter(([, value]) => Number.isFinite(value));
  const most = Math.max(...known.map(([, value]) => value), 0);
  const x = (when) => ((when - start) / (end - start)) * WIDTH;
  const y = (value) => HEIGHT - 1 - (most ? value / most : 0) * (HEIGHT - 6);
  const lines = runs(known).map((run) => {
    const line = `M${run.map(([when, value]) => `${x(when).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}`;
    const [from, to] = [run[0], run.at(-1)].map(([when]) => `${x(when).toFixed(1)} ${HEIGHT}`);
    return [line, `${line}L${to}L${from}Z`];
  });
  picture.children[2].setAttribute("d", lines.map(([line]) => line).join(""));
  picture.children[1].setAttribute("d", lines.map(([, area]) => area).join(""));
  const now = known.length ? told(known.at(-1)[1]) : "–";
  const top = known.length ? `at most ${told(most)}` : "nothing measured yet";
  setText(head.children[1], now);
  setText(foot, `last hour, ${top}`);
  picture.setAttribute("aria-label", `${title}, last hour: now ${now}, ${top}`);
}
