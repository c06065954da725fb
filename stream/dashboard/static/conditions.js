// Why, and why not: each comparison of a segment with its present value and truth.

import { segmentPage } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { time, valueRow } from "./parts.js";

const MARKS = new Map([[true, ["\u2713", "true", "holds"]], [false, ["\u2715", "false", "does not hold"]], [null, ["?", "unknown", "unknown: a value is missing"]]]);
const JOINS = { and: "All of these", or: "One of these", not: "Not this" };

/** A segment's part of the answer to "why": folded, with what matters most in its head. */
export function explanation(why) {
  const { segment, member } = why;
  const enter = asTree(why.enter, why.enters);
  const exit = asTree(why.exit, why.exits);
  const element = h(
    "details",
    { "data-why": segment },
    h(
      "summary",
      {},
      h("strong", {}, format.title(segment)),
      h("span", { class: `tag ${member ? "in" : ""}` }, member ? "Member" : "Not a member"),
      h("span", { class: "hint" }, hint(why, enter)),
      why.held && h("span", { class: "hint", title: why.held.until }, sentence(why.held.reason)),
    ),
    h(
      "div",
      { class: "why-body" },
      enter && section(member ? "What let them in, as it stands now" : "To enter", enter),
      exit ? section("To leave", exit) : h("p", { class: "small soft" }, "Members leave as soon as the condition to enter no longer holds."),
      h("p", { class: "small" }, h("a", { href: segmentPage(segment) }, "Go to the segment")),
    ),
  );
  return element;
}

function hint({ member, since, holdout }, enter) {
  if (member) return since ? h("span", {}, "Since ", time(since), holdout ? ", held out" : "") : null;
  const missing = enter === null ? [] : [...new Set(lacking(enter, true))];
  if (!missing.length) return null;
  return `Missing: ${missing.slice(0, 2).join("; ")}${missing.length > 2 ? `; and ${missing.length - 2} more` : ""}`;
}

/** The comparisons that would have to come out otherwise, in words. */
function lacking(node, wanted) {
  if ((node.truth === true) === wanted) return []; // unknown counts as false
  if (node.op === "not") return node.parts.flatMap((part) => lacking(part, !wanted));
  if (node.parts) return node.parts.flatMap((part) => lacking(part, wanted));
  const words = node.words ?? node.text;
  return [wanted ? words : `not: ${words}`];
}

function section(heading, tree) {
  return h("section", {}, h("h4", {}, heading), condition(tree));
}

function condition(node) {
  if (!node.parts) return comparison(node);
  return h(
    "div",
    { class: "condition" },
    h("p", { class: "condition-join" }, mark(node.truth), h("span", {}, JOINS[node.op] ?? node.op)),
    ...node.parts.map((part) => h("div", { class: "condition" }, condition(part))),
  );
}

function comparison(node) {
  const values = Object.entries(node.values ?? (node.value === undefined ? {} : { [node.text]: node.value }));
  return h(
    "div",
    { class: "comparison" },
    mark(node.truth),
    h("div", {}, node.words ? h("span", { title: node.text }, node.words) : h("code", {}, node.text)),
    ...values.map(([expression, value]) =>
      h("p", { class: "present" }, h("code", {}, expression), " is ", h("b", { title: typeof value === "string" ? value : null }, format.value(expression, value, node.durations?.includes(expression)))),
    ),
  );
}

function mark(truth) {
  const [sign, kind, words] = MARKS.get(truth ?? null);
  return h("span", { class: `truth ${kind}`, role: "img", "aria-label": words, title: words }, sign);
}

/** One tree of the parts that all have to hold; null without any. */
function asTree(parts, truth) {
  if (!parts?.length) return null;
  return parts.length === 1 ? parts[0] : { op: "and", parts, truth };
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The values of all aggregates as the definitions write them. */
export function featureTable(features) {
  return h("table", {}, h("tbody", {}, ...Object.entries(features).map(([expression, value]) => valueRow(expression, value))));
}
