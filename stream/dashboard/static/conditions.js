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
  const enter = asTree(why.enter);
  const exit = asTree(why.exit);
  const element = h(
    "details",
    { "data-why": segment },
    h(
      "summary",
      {},
      h("strong", {}, format.title(segment)),
      h("span", { class: `tag ${member ? "in" : ""}` }, member ? "Member" : "Not a member"),
      h("span", { class: "hint" }, hint(why, enter)),
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
  if (enter === null) return null;
  const missing = [...new Set(lacking(enter, true))];
  if (!missing.length) return "The condition holds, but something else keeps them out for now, such as a pause after leaving.";
  return `Missing: ${missing.slice(0, 2).join("; ")}${missing.length > 2 ? `; and ${missing.length - 2} more` : ""}`;
}

/** The comparisons that would have to come out otherwise, in words. */
function lacking(node, wanted) {
  if (node.truth === wanted) return [];
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
      h("p", { class: "present" }, h("code", {}, expression), " is ", h("b", { title: typeof value === "string" ? value : null }, format.value(expression, value))),
    ),
  );
}

function mark(truth) {
  const [sign, kind, words] = MARKS.get(truth ?? null);
  return h("span", { class: `truth ${kind}`, role: "img", "aria-label": words, title: words }, sign);
}

/** One tree, whether the answer has a node, a list of nodes that all have to hold, or nothing. */
function asTree(nodes) {
  const list = [nodes ?? []].flat();
  if (list.length < 2) return list[0] ?? null;
  const truths = list.map((node) => node.truth);
  return { op: "and", parts: list, truth: truths.includes(false) ? false : truths.includes(null) ? null : true };
}

/** The values of all aggregates as the definitions write them. */
export function featureTable(features) {
  return h("table", {}, h("tbody", {}, ...Object.entries(features).map(([expression, value]) => valueRow(expression, value))));
}
