// One persona: its size and share over time, what sets it apart, and who its members are.

import { get } from "./api.js";
import { deviations } from "./deviations.js";
import { h, put, setText } from "./dom.js";
import * as format from "./format.js";
import { empty, keepLoaded, showFailure, skeleton } from "./loading.js";
import { clockNotice, movingCount, pageHead } from "./parts.js";
import { causeTable, historyCard, membersCard, overlapTable } from "./segment.js";

const EVERY_MS = 10_000;
const MEASURES = [["members", "Members"], ["share", "Share"]];

export function openPersona(root, { stream, signal }, id) {
  const path = `/v1/personas/${encodeURIComponent(id)}`;
  const { element: head } = pageHead(format.personaTitle(id), "\u00a0");
  const crumb = h("p", { class: "crumb" }, h("a", { href: "/personas" }, "Personas"), " / ", h("span", { class: "soft break" }, id));
  const body = h("div", { class: "stack" }, skeleton(5), skeleton(1, "block"));
  let parts = null;
  put(root, crumb, head, body);

  function show(data) {
    setText(head.querySelector("h1"), format.personaTitle(id)); // aliases come with the settings
    setText(head.querySelector("p"), data.label ?? "No version describes it");
    if (parts === null) {
      parts = makeParts(data, path, stream, signal);
      put(body, ...parts.elements);
    }
    parts.show(data);
  }

  function fail(error, retry) {
    if (error.status !== 404) return showFailure(body, error, retry, "This persona could not be loaded");
    put(body, empty("There is no such persona", "It may be gone: numbers are not given again. ", h("a", { href: "/personas" }, "See all personas")));
  }

  stream.addEventListener("counts", ({ detail }) => parts?.count(detail), { signal });
  keepLoaded({ load: () => get(path, signal), show, fail, everyMs: EVERY_MS, stream, signal });
}

function makeParts(persona, path, stream, signal) {
  const clock = clockNotice();
  const gone = h("p", { class: "notice", hidden: true }, "It is not in the version in force: its last members are on their way to others.");
  const numbers = makeNumbers(persona);
  const apart = h("div", {});
  const causes = h("div", {});
  const overlap = h("div", {});
  const segment = `/v1/segments/${persona.segment}`;
  let drawn = "";

  function show(data) {
    clock.show(data.stream_clock, data.behind_s);
    gone.hidden = data.is_in_version || data.version === null;
    numbers.show(data);
    const text = JSON.stringify([data.values, data.features, data.words]);
    if (text !== drawn) put(apart, apartParts(data));
    drawn = text;
    put(causes, causeTable(data.causes));
    put(overlap, overlapTable(data));
  }

  function count({ counts, stream_clock: at, behind_s: behind }) {
    clock.show(at, behind);
    if (counts[persona.segment]) numbers.move(counts[persona.segment][0]);
  }

  const elements = [
    clock.element,
    gone,
    numbers.element,
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        { class: "stack" },
        h("section", { class: "card" }, h("h2", {}, "What sets it apart"), apart),
        h("section", { class: "card" }, h("h2", {}, "Why they come and go"), causes),
        h("section", { class: "card" }, h("h2", {}, "Also members of"), overlap),
      ),
      h(
        "div",
        { class: "stack" },
        historyCard(path, stream, signal, MEASURES),
        membersCard(segment, { name: persona.segment }, stream, signal),
      ),
    ),
  ];
  return { elements, show, count };
}

function apartParts({ values, words, features }) {
  if (values === null) return h("p", { class: "soft small" }, "No version that is in force describes it.");
  return h(
    "div",
    { class: "stack" },
    words.length
      ? h("ul", { class: "words" }, ...words.map((text) => h("li", {}, h("span", {}, sentence(text)))))
      : h("p", {}, "Nothing much: in all features it is close to the middle of all customers."),
    deviations(values, features),
    h("p", { class: "soft small" }, "The middle of the persona against the middle of all customers. Large numbers count less the larger they are, so these lie lower than means would. A bar that ends at the edge is 2.5 scales away, or more."),
  );
}

function makeNumbers(persona) {
  const members = movingCount("span", persona.members, { "data-count": persona.segment });
  const share = h("dd", {});
  const inflow = h("dd", {});
  const outflow = h("dd", {});
  const week = h("dd", {});
  const weekNote = h("dd", { class: "note" });
  const stay = h("dd", {});
  const tile = (term, value, note) => h("div", { class: "tile" }, h("dt", {}, term), value, note);
  const note = (text) => h("dd", { class: "note" }, text);
  const element = h(
    "dl",
    { class: "tiles" },
    tile("Members", h("dd", {}, members.element), note("have it now")),
    tile("Share", share, note("of all who have a persona")),
    tile("Came", inflow, note("in the last hour")),
    tile("Left", outflow, note("in the last hour")),
    tile("Against a week ago", week, weekNote),
    tile("Usual stay", stay, note("half stay longer")),
  );

  function show(now) {
    members.move(now.members);
    setText(share, format.share(now.share));
    setText(inflow, format.count(now.entered_last_hour));
    setText(outflow, format.count(now.exited_last_hour));
    const before = now.week_ago;
    setText(week, before === null ? "\u2013" : format.change(now.members - before));
    week.className = before === null || before === now.members ? "" : now.members > before ? "up" : "down";
    setText(weekNote, before === null ? "no week to compare with yet" : `${format.count(before)} then`);
    setText(stay, now.median_stay_s === null ? "\u2013" : format.span(now.median_stay_s));
  }

  return { element, move: members.move, show };
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
