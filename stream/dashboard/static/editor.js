// A text field with numbered lines, marks at the lines that have problems, and a way to go to a place in it.

import { h, put } from "./dom.js";

/** An editor with that text. Places are lines and characters, both from 1, as the checker counts them. */
export function editor(text, { label, onChange }) {
  const field = h("textarea", { id: "source", "aria-label": label, "data-search": true, spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off" });
  const lines = h("div", { class: "lines", "aria-hidden": "true" });
  const element = h("div", { class: "editor" }, lines, field);
  let marks = new Map();

  function number() {
    const count = field.value.split("\n").length;
    while (lines.children.length > count) lines.lastChild.remove();
    while (lines.children.length < count) lines.append(h("div", {}, lines.children.length + 1));
    [...lines.children].forEach((line, i) => (line.className = marks.get(i + 1) ?? ""));
    lines.scrollTop = field.scrollTop;
  }

  function mark(problems) {
    marks = new Map();
    for (const { line, severity } of problems) if (marks.get(line) !== "error") marks.set(line, severity);
    number();
  }

  function goTo(line, column) {
    const [from, to] = place(field.value, line, column);
    field.focus();
    field.setSelectionRange(from, to);
    const height = field.scrollHeight / Math.max(1, lines.children.length);
    field.scrollTop = Math.max(0, (line - 1) * height - field.clientHeight / 2);
    lines.scrollTop = field.scrollTop;
  }

  function set(value) {
    field.value = value;
    mark([]);
  }

  field.addEventListener("scroll", () => (lines.scrollTop = field.scrollTop));
  field.addEventListener("input", () => {
    number();
    onChange();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.shiftKey || event.isComposing) return;
    const indentation = /^ */.exec(field.value.slice(field.value.lastIndexOf("\n", field.selectionStart - 1) + 1))[0];
    if (!indentation) return;
    event.preventDefault();
    // The one way to put text in that can be undone.
    document.execCommand("insertText", false, `\n${indentation}`);
  });
  set(text);
  return { element, mark, goTo, set, text: () => field.value };
}

/** A line of the text, cut into what is before, at and after a place in it. */
export function excerpt(text, line, column) {
  const [from, to] = place(text, line, column);
  const start = text.lastIndexOf("\n", from - 1) + 1;
  const end = text.indexOf("\n", from);
  const whole = text.slice(start, end < 0 ? text.length : end);
  return [whole.slice(0, from - start), whole.slice(from - start, to - start), whole.slice(to - start)];
}

/** From where to where the word at a place reaches, in the units that text fields count in. */
function place(text, line, column) {
  const all = text.split("\n");
  const index = Math.min(Math.max(line, 1), all.length) - 1;
  const before = all.slice(0, index).reduce((sum, one) => sum + one.length + 1, 0);
  const characters = [...all[index]]; // the checker counts characters, the field halves of pairs
  const offset = characters.slice(0, column - 1).join("").length;
  const word = /^(?:"[^"]*"|[\p{L}\p{N}_.]+)/u.exec(all[index].slice(offset))?.[0] ?? characters[column - 1] ?? "";
  return [before + offset, before + offset + word.length];
}
