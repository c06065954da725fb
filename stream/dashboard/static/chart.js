// Curves over time by uPlot (loaded by index.html as a plain script): members, and below them who came and went.

import { h, put } from "./dom.js";
import * as format from "./format.js";
import { table, time } from "./parts.js";

const HEIGHT = 240;
const FLOW_HEIGHT = 136;
const AXIS_WIDTH = 58;

/** A chart, and `draw(points)`: `[{at, members, entered, exited}]`, oldest first. Takes itself down with the signal. */
export function historyChart(signal) {
  const readout = h("p", { class: "chart-readout" });
  const above = h("div", { class: "chart-box" });
  const below = h("div", { class: "chart-box flow" });
  const figure = h("div", { class: "chart", role: "img" }, above, below);
  const numbers = h("details", { class: "plain" });
  const legend = h("p", { class: "chart-legend", "aria-hidden": "true" }, h("span", { class: "in" }, "Entered"), h("span", { class: "out" }, "Left"));
  const element = h("div", {}, readout, figure, legend, numbers);
  let plots = [];
  let points = [];
  let key = "members";

  function draw(next, measure = "members") {
    points = next;
    key = measure;
    figure.setAttribute("aria-label", summary(points, key));
    drawNumbers();
    drawPlots();
  }

  function drawPlots() {
    plots.forEach((plot) => plot.destroy());
    plots = [];
    if (!figure.isConnected || points.length < 2) return;
    const ink = inks(figure);
    const x = points.map((point) => Date.parse(point.at) / 1000);
    const width = figure.clientWidth;
    const shared = { width, ink, onPoint: say };
    plots = [
      new window.uPlot(key === "share" ? shareOptions(shared) : memberOptions(shared), [x, points.map((point) => point[key])], above),
      new window.uPlot(flowOptions(shared), [x, points.map((point) => point.entered), points.map((point) => -point.exited)], below),
    ];
    say(null);
  }

  function say(index) {
    const point = points[index ?? points.length - 1];
    if (point === undefined) return;
    put(
      readout,
      time(point.at, format.minute),
      ` · ${format.plural(point.members, "member")}${"share" in point ? `, ${format.share(point.share)}` : ""} · ${format.count(point.entered)} entered, ${format.count(point.exited)} left`,
    );
  }

  /** The same as a table, for whoever can't see or point; made when it is opened. */
  function drawNumbers() {
    put(numbers, h("summary", {}, "These numbers as a table"));
    if (numbers.open) fillNumbers();
  }

  function fillNumbers() {
    const hasShare = points.some((point) => "share" in point);
    const columns = [["members", "Members"], ...(hasShare ? [["share", "Share"]] : []), ["entered", "Entered"], ["exited", "Left"]];
    const cell = (point, column) => h("td", { class: "number" }, (column === "share" ? format.share : format.count)(point[column]));
    const row = (point) => h("tr", {}, h("td", {}, time(point.at, format.minute)), ...columns.map(([column]) => cell(point, column)));
    const heads = [["Time", ""], ...columns.map(([, name]) => [name, "number"])];
    numbers.append(table("Members over time", heads, [...points].reverse().map(row)));
  }

  numbers.addEventListener("toggle", () => numbers.open && numbers.children.length === 1 && fillNumbers());
  const watcher = new ResizeObserver(() => {
    if (!plots.length) drawPlots();
    plots.forEach((plot) => plot.width !== figure.clientWidth && plot.setSize({ width: figure.clientWidth, height: plot.height }));
  });
  watcher.observe(figure);
  addEventListener("themechange", drawPlots, { signal });
  signal.addEventListener("abort", () => {
    watcher.disconnect();
    plots.forEach((plot) => plot.destroy());
  });
  return { element, draw };
}

function summary(points, key) {
  if (points.length < 2) return "Members over time: not enough is known yet";
  const [what, say] = key === "share" ? ["Share", format.share] : ["Members", format.count];
  const values = points.map((point) => point[key]).filter((value) => value !== null);
  const [first, last] = [points[0], points.at(-1)];
  return (
    `${what} from ${format.minute(first.at)} to ${format.minute(last.at)}: from ${say(first[key])} to ${say(last[key])}, ` +
    `at least ${say(Math.min(...values))}, at most ${say(Math.max(...values))}`
  );
}

/** The colours of this theme as the canvas wants them. */
function inks(place) {
  const probe = place.appendChild(h("span", { class: "unseen" }));
  const read = (name) => {
    probe.className = `ink-${name}`;
    return getComputedStyle(probe).color;
  };
  const colours = Object.fromEntries(["line", "soft", "accent", "in", "out"].map((name) => [name, read(name)]));
  probe.remove();
  return colours;
}

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7];
const PARTS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

function options({ width, ink, onPoint }, height, series, scale, axisY, isBelow, incrs = WHOLE) {
  const axis = { stroke: ink.soft, font: '12px "Liberation Sans", "Segoe UI", Roboto, sans-serif', grid: { stroke: ink.line, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1e3), format.timeZone()),
    legend: { show: false },
    padding: [8, 12, isBelow ? 0 : 8, 0],
    cursor: { y: false, sync: { key: "history" }, drag: { x: false, y: false } },
    scales: { y: { range: scale } },
    series: [{}, ...series],
    axes: [
      { ...axis, grid: { show: false }, values: (_, splits, __, ___, apart) => splits.map((split) => format.tick(split, apart)), space: 70, size: 30, show: isBelow },
      { ...axis, size: AXIS_WIDTH, space: isBelow ? 22 : 40, values: (_, splits) => splits.map(axisY), incrs },
    ],
    hooks: { setCursor: [(plot) => plot.cursor.event && onPoint(plot.cursor.idx)] },
  };
}

function curve({ accent }) {
  return [{ stroke: accent, width: 2, fill: accent.replace("rgb(", "rgba(").replace(")", ", 0.1)"), points: { show: false } }];
}

function shareOptions(shared) {
  const range = (_, low, high) => {
    const height = Math.max(high - low, 0.01);
    return [Math.max(0, low - height * 0.15), Math.min(1, high + height * 0.15)];
  };
  return options(shared, HEIGHT, curve(shared.ink), range, format.share, false, PARTS);
}

function memberOptions(shared) {
  const range = (_, low, high) => {
    const height = Math.max(high - low, high * 0.04, 4);
    return [Math.max(0, Math.floor(low - height * 0.15)), Math.ceil(high + height * 0.15)];
  };
  return options(shared, HEIGHT, curve(shared.ink), range, format.short, false);
}

function flowOptions(shared) {
  const bars = window.uPlot.paths.bars({ size: [0.7, 24], radius: 0.1 });
  const one = (colour) => ({ stroke: colour, fill: colour, width: 0, paths: bars, points: { show: false } });
  const range = (_, low, high) => [Math.min(low, -1) * 1.15, Math.max(high, 1) * 1.15];
  return options(shared, FLOW_HEIGHT, [one(shared.ink.in), one(shared.ink.out)], range, (value) => format.short(Math.abs(value)), true);
}
