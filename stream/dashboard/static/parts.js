// Parts that several pages have: instants, numbers that move, changes, heads of pages.

import { customerPage, segmentPage } from "./api.js";
import { h, setText } from "./dom.js";
import * as format from "./format.js";

const FLASH_MS = 1400; // as long as its animation, which there is none of where people want no motion
const CHANGES = { entered: ["Entered", "in"], exited: ["Left", "out"], erased: ["Erased", ""] };

/** An instant in the shop's time zone; the exact one when the pointer rests on it. */
export function time(at, show = format.instant) {
  if (!at) return h("span", {}, "\u2013");
  return h("time", { datetime: format.exact(at), title: format.exact(at) }, show(at));
}

/** A count that is marked for a moment when it moves. */
export function movingCount(name, number, attributes = {}) {
  let present = number;
  const element = h(name, attributes, format.count(number));
  const settle = () => element.classList.remove("flash", "up", "down");
  let timer = 0;

  function move(next) {
    if (next === present) return;
    settle();
    clearTimeout(timer);
    timer = setTimeout(settle, FLASH_MS);
    void element.offsetWidth; // begins the animation anew where one is running
    element.classList.add("flash", next > present ? "up" : "down");
    present = next;
    setText(element, format.count(next));
  }

  return { element, move };
}

export function pageHead(title, description, ...end) {
  document.title = `${title} · segstream`;
  const heading = h("h1", { tabindex: "-1" }, title);
  const element = h("div", { class: "page-head" }, h("div", {}, heading, description && h("p", { class: "soft" }, description)), ...end);
  return { element, heading };
}

export function customerLink(id) {
  return h("a", { href: customerPage(id), class: "break" }, id);
}

export function segmentLink(name) {
  return h("a", { href: segmentPage(name) }, format.title(name));
}

/**
 * A change as an item of a list: what, who, where, when, and why in words. `from` is the exit from another persona that
 * belongs to the entry.
 */
export function changeItem(change, { withCustomer = false, withEvidence = false, show = format.clock, from = null } = {}) {
  const [word, kind] = from ? ["Moved", "accent"] : (CHANGES[change.change] ?? [change.change, ""]);
  return h(
    "li",
    { class: change.change, "data-id": change.id },
    h(
      "div",
      { class: "change-head" },
      h("span", { class: `tag ${kind}` }, word),
      from && h("span", {}, segmentLink(from.segment), " to "),
      change.segment && segmentLink(change.segment),
      change.holdout && h("span", { class: "tag" }, "held out"),
      time(change.at, show),
    ),
    withCustomer && h("div", { class: "small" }, customerLink(change.customer_id)),
    change.words && h("p", { class: "change-words" }, change.words),
    withEvidence && evidence(change.values),
  );
}

/** What the conditions looked at, as it stood at that instant. */
function evidence(values) {
  const entries = Object.entries(values ?? {});
  if (!entries.length) return null;
  return h(
    "details",
    { class: "plain evidence" },
    h("summary", {}, "The values at that instant"),
    h("table", {}, h("tbody", {}, ...entries.map(([expression, value]) => valueRow(expression, value)))),
  );
}

export function valueRow(expression, value) {
  const isText = typeof value === "string";
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("code", { class: "break" }, expression)),
    h("td", { class: "break", title: isText ? value : null }, format.value(expression, value)),
  );
}

/** The latest changes of all customers that are wanted; new ones come in at the top. */
export function feed(limit, stream, signal, isWanted = () => true) {
  const list = h("ul", { class: "changes feed" });
  const none = h("p", { class: "soft small" }, "Nobody has entered or left a segment yet. As soon as somebody does, it stands here.");
  const known = new Set();

  function add(change) {
    if (known.has(change.id) || !isWanted(change)) return false;
    known.add(change.id);
    list.prepend(changeItem(change, { withCustomer: true }));
    none.hidden = true;
    while (list.children.length > limit) {
      known.delete(list.lastChild.dataset.id);
      list.lastChild.remove();
    }
    return true;
  }

  stream.addEventListener("change", ({ detail }) => add(detail) && list.firstChild.classList.add("new"), { signal });
  return { element: h("div", {}, none, list), fill: (changes) => changes.slice(0, limit).reverse().forEach(add) };
}


export function tags(words) {
  return words.length ? h("span", { class: "tags" }, ...words.map((word) => h("span", { class: "tag" }, word))) : null;
}

export function alerts(list) {
  if (!list?.length) return null;
  return h("ul", { class: "alerts" }, ...list.map(({ message }) => h("li", { class: "alert" }, message)));
}

/** Says that the stream's clock and the time of day are not the same. */
export function clockNotice() {
  const element = h("p", { class: "notice", hidden: true });

  function show(streamClock, behindS) {
    const isOff = streamClock && Math.abs(behindS) >= 120;
    element.hidden = !isOff;
    if (!isOff) return;
    const where = behindS > 0 ? "behind" : "ahead of";
    // Whole units only: a number that counts seconds in a sentence is noise.
    const far = format.span(Math.max(60, Math.abs(behindS) - (Math.abs(behindS) % 60)));
    const text = `The stream clock is ${far} ${where} the time of day: \u201cnow\u201d and \u201clast hour\u201d on this page mean ${format.minute(streamClock)}.`;
    setText(element, text);
  }

  return { element, show };
}

/** Small buttons of which one is chosen. */
export function choice(legend, name, options, chosen, onChange) {
  const radios = options.map(([value, text]) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onChange(value) }),
      h("span", {}, text),
    ),
  );
  return h("fieldset", { class: "switch" }, h("legend", { class: "unseen" }, legend), ...radios);
}

/** A table that scrolls sideways by itself where it is too wide, also by keyboard. */
export function table(caption, heads, rows) {
  return h(
    "div",
    { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, ...heads.map(([text, kind]) => h("th", { scope: "col", class: kind }, text)))),
      h("tbody", {}, ...rows),
    ),
  );
}

