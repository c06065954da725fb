// A small curve without axes. Whoever can't see it reads the numbers beside it, so it is hidden from screen readers.

import { svg } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 44;
const EDGE = 3;

/** A curve, and `draw(numbers)` that gives it another course. */
export function sparkline(numbers) {
  const under = svg("path", { class: "under" });
  const line = svg("path");
  const element = svg(
    "svg",
    { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    under,
    line,
  );
  let drawn = "";

  function draw(values) {
    const course = path(values);
    if (course === drawn) return;
    drawn = course;
    line.setAttribute("d", course);
    under.setAttribute("d", course && `${course}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`);
  }

  draw(numbers);
  return { element, draw };
}

function path(values) {
  if (!values || values.length < 2) return "";
  const low = Math.min(...values);
  const high = Math.max(...values);
  // A change of a few per mille is no mountain: the curve's height is at least a twentieth of what it stands for.
  const height = Math.max(high - low, high * 0.05, 1);
  const bottom = Math.max(0, (high + low - height) / 2);
  const x = (i) => ((i / (values.length - 1)) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - EDGE - ((value - bottom) / height) * (HEIGHT - 2 * EDGE)).toFixed(1);
  return values.map((value, i) => `${i ? "L" : "M"}${x(i)} ${y(value)}`).join("");
}
