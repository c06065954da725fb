// What sets a persona apart: for each feature its centre against all customers, as a bar and in the feature's own unit.

import { h, svg } from "./dom.js";
import * as format from "./format.js";

/** Bars end so many scales from the middle; what is further is drawn as far. */
const FURTHEST = 2.5;

/** A table, the features that are furthest apart first; `limit`: only so many. */
export function deviations(values, features, limit = values.length) {
  const order = values.map((_, i) => i).sort((a, b) => Math.abs(values[b].deviation) - Math.abs(values[a].deviation));
  const row = (i) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: features[i].words ?? features[i].text }, h("span", { class: "cut" }, features[i].name.replaceAll("_", " "))),
      h("td", {}, bar(values[i].deviation)),
      h("td", { class: "number" }, amount(values[i].value, features[i])),
      h("td", { class: "number soft" }, amount(features[i].usual, features[i])),
    );
  return h(
    "table",
    { class: "deviations" },
    h("caption", { class: "unseen" }, "What sets it apart"),
    h(
      "thead",
      {},
      h("tr", {}, h("th", { scope: "col" }, h("span", { class: "unseen" }, "Feature")), h("th", { scope: "col" }, h("span", { class: "unseen" }, "Against all")), h("th", { scope: "col", class: "number" }, "Here"), h("th", { scope: "col", class: "number" }, "Usual")),
    ),
    h("tbody", {}, ...order.slice(0, limit).map(row)),
  );
}

const amount = (number, { days }) => format.amount(number) + (days ? " d" : "");

/** From the middle to the right where it is above, to the left where it is below. */
function bar(deviation) {
  const length = (Math.min(Math.abs(deviation), FURTHEST) / FURTHEST) * 50;
  const words = `${Math.abs(deviation) < 0.05 ? "as usual" : deviation > 0 ? "above the usual" : "below the usual"}`;
  return [
    h("span", { class: "unseen" }, words),
    svg(
      "svg",
      { class: "deviation", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "ground", width: 100, height: 10 }),
      svg("rect", { class: deviation > 0 ? "above" : "below", x: deviation > 0 ? 50 : 50 - length, width: length, height: 10 }),
      svg("rect", { class: "middle", x: 49.6, width: 0.8, height: 10 }),
    ),
  ];
}
