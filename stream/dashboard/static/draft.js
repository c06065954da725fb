// A draft: a definition that is checked as `segstream check` does, and counted over the customers there are.

import { get, post } from "./api.js";
import { h, put } from "./dom.js";
import { editor, excerpt } from "./editor.js";
import * as format from "./format.js";
import { empty, failure, skeleton } from "./loading.js";
import { customerLink, pageHead } from "./parts.js";

const KEPT = "segstream.draft"; // for as long as the tab is open
const EXAMPLE = `version: 1
segments:
  keen_visitor:
    description: Came back again and again this week, and has not bought yet
    enter: count(click, 7d) >= 5 and never(purchase)
`;

export function openDraft(root, { signal, stream }) {
  const { element: head } = pageHead("Draft", "Try a definition before it goes live: what is wrong with it, and who would be a member now.");
  const results = h("div", { class: "stack", role: "region", "aria-label": "What came out", "aria-live": "polite" }, invitation());
  const field = editor(kept() ?? EXAMPLE, { label: "Definition, as YAML", onChange: () => keep(field.text()) });
  const run = h("button", { type: "button", class: "main-action", onclick: check }, "Check and count");
  const from = h("select", { id: "from", onchange: load }, h("option", { value: "" }, "An example"));
  let asking = null;
  let present = new Map();

  put(
    root,
    head,
    h(
      "div",
      { class: "columns" },
      h(
        "section",
        { "aria-label": "Definition" },
        field.element,
        h("div", { class: "editor-actions" }, h("div", { class: "field" }, h("label", { for: "from" }, "Begin with"), from), h("div", { class: "editor-run" }, h("span", { class: "small soft" }, h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter")), run)),
      ),
      results,
    ),
  );
  root.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && check(), { signal });
  stream.addEventListener("regained", offer, { signal });
  offer();

  /** The segments there are, to begin with. */
  async function offer() {
    const answer = await get("/v1/segments", signal).catch(() => null);
    if (answer === null || signal.aborted) return;
    present = new Map(answer.segments.map((segment) => [segment.name, segment.members]));
    put(from, h("option", { value: "" }, "An example"), ...answer.segments.map(({ name }) => h("option", { value: name }, format.title(name))));
  }

  async function load() {
    const text = from.value === "" ? EXAMPLE : await sourceOf(from.value, signal).catch((error) => error);
    if (signal.aborted) return;
    if (typeof text !== "string") return put(results, failure(text, load));
    field.set(text);
    keep(text);
    put(results, invitation());
  }

  async function check() {
    asking?.abort();
    asking = new AbortController();
    const mine = asking;
    const text = field.text();
    run.setAttribute("aria-disabled", "true");
    put(results, h("section", { class: "card" }, skeleton(4)));
    try {
      const answer = await post("/v1/drafts", text, "text/yaml", AbortSignal.any([signal, mine.signal]));
      field.mark(answer.problems);
      put(results, ...outcome(answer, text, field, present));
      // On a small screen what came out is below what was written.
      if (results.getBoundingClientRect().top > innerHeight - 80) results.scrollIntoView({ block: "center" });
    } catch (error) {
      if (signal.aborted || asking !== mine) return;
      put(results, h("section", { class: "card" }, failure(error, check, "The draft could not be checked")));
    }
    if (asking === mine) run.removeAttribute("aria-disabled");
  }
}

function invitation() {
  return h("section", { class: "card" }, empty("Nothing checked yet", "Write a segment, or begin with one that you have, and press \u201cCheck and count\u201d. Nothing is deployed by that."));
}

/** A segment's own lines as a whole file. */
async function sourceOf(name, signal) {
  const { draft, source } = await get(`/v1/segments/${encodeURIComponent(name)}`, signal);
  if (draft) return draft;
  if (source === null) throw new Error("The dashboard was started without the definitions file, so it does not know how this segment is written.");
  return `version: 1\nsegments:\n${source.replace(/\n+$/, "").replace(/^(?=.)/gm, "  ")}\n`;
}

function outcome(answer, text, field, present) {
  const { problems, segments, preview_error: trouble } = answer;
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const parts = [];
  if (problems.length) {
    const heading = errors ? `${format.plural(errors, "problem")} to mend` : format.plural(problems.length, "remark");
    parts.push(h("section", { class: "card" }, h("h2", {}, heading), h("ol", { class: "problems" }, ...problems.map((problem) => problemItem(problem, text, field)))));
  }
  if (trouble) parts.push(h("p", { class: "notice" }, `Checked, but not counted: ${trouble}`));
  if (segments?.length) {
    const took = `${format.plural(answer.workers ?? 1, "worker")} looked, ${format.span((answer.took_ms ?? 0) / 1000)}`;
    const title = h("div", { class: "card-head" }, h("h2", {}, errors ? "Who would be a member" : "It is right. Who would be a member"), h("span", { class: "small soft" }, took));
    parts.push(h("section", { class: "card" }, title, ...segments.map((segment) => preview(segment, present.get(segment.name)))));
  } else if (!problems.length && !trouble) {
    parts.push(h("section", { class: "card" }, empty("It is right", "There is no segment in it to count.")));
  }
  return parts;
}

function problemItem({ line, column, severity, message }, text, field) {
  const [before, at, after] = excerpt(text, line, column);
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: severity, onclick: () => field.goTo(line, column) },
      h("span", { class: "where" }, h("span", { class: `tag ${severity === "error" ? "out" : "warn"}` }, severity === "error" ? "Error" : "Remark"), `Line ${line}, column ${column}`),
      h("span", { class: "message" }, message),
      h("span", { class: "excerpt" }, before.trimStart(), h("mark", {}, at || "\u00a0"), after),
    ),
  );
}

function preview(segment, now) {
  const { name, members, held_out: heldOut, of, sample, without_history: blank } = segment;
  return h(
    "div",
    { class: "preview", "data-preview": name },
    h("h3", {}, format.title(name)),
    h("p", { class: "preview-count" }, format.count(members)),
    h("p", { class: "small soft" }, `of ${format.count(of)} customers${of ? ` (${format.share(members / of)})` : ""}${heldOut ? `, ${format.count(heldOut)} of them held out` : ""}`),
    now === undefined ? null : h("p", { class: "small soft" }, `The segment of that name has ${format.count(now)} now: ${format.change(members - now)}`),
    blank?.length
      ? h("p", { class: "alert" }, h("span", {}, "Counted from nothing, as no deployed segment has asked for it so far: ", ...blank.flatMap((text, i) => [i ? ", " : "", h("code", {}, text)])))
      : null,
    sample?.length ? h("div", {}, h("h4", { class: "small" }, "For example"), h("p", { class: "sample" }, ...sample.flatMap((id) => [customerLink(id), " "]))) : null,
  );
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null; // storage is switched off
  }
}

function keep(text) {
  try {
    sessionStorage.setItem(KEPT, text);
  } catch {
    // as above: then a reload begins anew
  }
}
