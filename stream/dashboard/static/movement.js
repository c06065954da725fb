// Who moved from which persona to which, over a span that is chosen: a flow chart, and its numbers.

import { get } from "./api.js";
import { h, put, svg } from "./dom.js";
import * as format from "./format.js";
import { empty, keepLoaded, showFailure, skeleton } from "./loading.js";
import { choice, segmentLink, table, time } from "./parts.js";

const EVERY_MS = 30_000;
const SPANS = [["24", "24 hours"], ["168", "7 days"], ["2160", "90 days"]];
const COLOURS = 8;
const BAR = 12;
const GAP = 14;
const LINE = 22; // a label needs so much
const NONE = "none";

export function movementCard(stream, signal) {
  const place = h("div", {}, skeleton(1, "block"));
  const chart = flowChart(signal);
  const note = h("p", { class: "soft small" });
  const numbers = h("details", { class: "plain" });
  let hours = SPANS[0][0];
  let shown = "";

  function show(data) {
    if (data.hours !== hours) return load(); // another span was chosen meanwhile
    const text = JSON.stringify([data.moves, data.since, hours]);
    if (text === shown) return;
    shown = text;
    if (!data.moves.length) return put(place, empty("Nobody has moved", "Within this time nobody got a persona, changed it or lost it."));
    put(note, noteOf(data));
    drawNumbers(data.moves);
    if (!place.contains(chart.element)) put(place, note, chart.element, numbers);
    chart.draw(data.moves);
  }

  function drawNumbers(moves) {
    const cell = (id) => (id === null ? "no persona" : segmentLink(`persona_${id}`));
    const row = ({ from, to, customers }) => h("tr", {}, h("td", {}, cell(from)), h("td", {}, cell(to)), h("td", { class: "number" }, format.count(customers)));
    put(numbers, h("summary", {}, "These numbers as a table"), table("Moves between personas", [["From", ""], ["To", ""], ["Customers", "number"]], moves.map(row)));
  }

  const load = keepLoaded({
    load: () => {
      const asked = hours;
      return get(`/v1/personas/moves?hours=${asked}`, signal).then((data) => ({ ...data, hours: asked }));
    },
    show,
    fail: (error, retry) => showFailure(place, error, retry, "The moves could not be loaded"),
    everyMs: EVERY_MS,
    stream,
    signal,
  });
  const spans = choice("How far back", "moved", SPANS, hours, (chosen) => {
    hours = chosen;
    load();
  });
  return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, "Who moved"), spans), place);
}

function noteOf({ moves, since, known_from: from }) {
  const all = moves.reduce((sum, { customers }) => sum + customers, 0);
  const begin = from && Date.parse(from) > Date.parse(since) ? from : since;
  return [`${format.plural(all, "move")} since `, time(begin, format.minute), ". Who stayed is not drawn, and whoever moved twice counts twice."];
}

/** Two columns of bars with ribbons between: on the left where people were, on the right where they went. */
function flowChart(signal) {
  const element = h("div", { class: "movement", role: "img" });
  let moves = [];

  function draw(next) {
    moves = next;
    element.setAttribute("aria-label", summary(moves));
    if (element.clientWidth) put(element, picture(moves, element.clientWidth));
  }

  const watcher = new ResizeObserver(() => {
    const width = element.firstChild?.getAttribute("width");
    if (moves.length && Number(width) !== element.clientWidth) draw(moves);
  });
  watcher.observe(element);
  signal.addEventListener("abort", () => watcher.disconnect());
  return { element, draw };
}

function summary(moves) {
  const said = moves.slice(0, 5).map(({ from, to, customers }) => `${format.count(customers)} ${went(from, to)}`);
  return `Moves between personas: ${said.join("; ")}${moves.length > 5 ? `; and ${moves.length - 5} more` : ""}`;
}

function went(from, to) {
  if (from === null) return `got ${format.personaTitle(to)}`;
  if (to === null) return `have left ${format.personaTitle(from)} and have no persona`;
  return `from ${format.personaTitle(from)} to ${format.personaTitle(to)}`;
}

function picture(moves, width) {
  const isNarrow = width < 560;
  const edge = isNarrow ? 74 : Math.min(230, width * 0.28);
  const left = column(moves, ({ from }) => from);
  const right = column(moves, ({ to }) => to);
  const total = moves.reduce((sum, { customers }) => sum + customers, 0);
  const rows = Math.max(left.length, right.length);
  const scale = Math.max(180, rows * 34) / total;
  const height = Math.max(arrange(left, scale), arrange(right, scale));
  const at = (nodes, id) => nodes.find((node) => node.id === (id ?? NONE));
  const ordered = [...moves].sort((a, b) => at(left, a.from).y - at(left, b.from).y || at(right, a.to).y - at(right, b.to).y);
  const ribbons = ordered.map((move) => ribbon(move, at(left, move.from), at(right, move.to), edge + BAR, width - edge - BAR, scale));
  return svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    ...ribbons,
    ...left.flatMap((node) => bar(node, edge, edge - 8, "end", isNarrow)),
    ...right.flatMap((node) => bar(node, width - edge - BAR, width - edge + 8, "start", isNarrow)),
  );
}

/** The bars of one side, in the order of the personas' numbers; those without one come last. */
function column(moves, sideOf) {
  const sums = new Map();
  for (const move of moves) {
    const id = sideOf(move) ?? NONE;
    sums.set(id, (sums.get(id) ?? 0) + move.customers);
  }
  const rank = (id) => (id === NONE ? Infinity : Number(id.slice(1)));
  return [...sums].map(([id, sum]) => ({ id, sum, taken: 0 })).sort((a, b) => (rank(a.id) < rank(b.id) ? -1 : 1));
}

/** Gives each bar its place; how high the column is. */
function arrange(nodes, scale) {
  let y = 4;
  for (const node of nodes) {
    node.height = Math.max(1.5, node.sum * scale);
    const room = Math.max(node.height, LINE);
    node.y = y + (room - node.height) / 2;
    y += room + GAP;
  }
  return y - GAP + 4;
}

function bar({ id, sum, y, height }, x, textX, anchor, isNarrow) {
  const name = id === NONE ? (isNarrow ? "none" : "No persona") : isNarrow ? id : cut(format.personaTitle(id));
  return [
    svg("rect", { class: `node ${colour(id)}`, x, y, width: BAR, height, rx: 2 }),
    svg("text", { x: textX, y: y + height / 2, "text-anchor": anchor, "dominant-baseline": "central" }, svg("tspan", { class: "who" }, name), " ", svg("tspan", { class: "many" }, format.count(sum))),
  ];
}

function ribbon({ from, to, customers }, left, right, x0, x1, scale) {
  const size = Math.max(1, customers * scale);
  const y0 = left.y + left.taken;
  const y1 = right.y + right.taken;
  left.taken += customers * scale;
  right.taken += customers * scale;
  const middle = (x0 + x1) / 2;
  const path = `M${x0} ${y0}C${middle} ${y0} ${middle} ${y1} ${x1} ${y1}V${y1 + size}C${middle} ${y1 + size} ${middle} ${y0 + size} ${x0} ${y0 + size}Z`;
  return svg("path", { class: `ribbon ${colour(left.id)}`, d: path }, svg("title", {}, `${format.count(customers)} ${went(from, to)}`));
}

const colour = (id) => (id === NONE ? "flow-none" : `flow-${(Number(id.slice(1)) - 1) % COLOURS}`);
const cut = (text) => (text.length > 24 ? `${text.slice(0, 23)}\u2026` : text);
