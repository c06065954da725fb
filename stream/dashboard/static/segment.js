// One segment: its size over time, who is in it and why people come and go.

import { get } from "./api.js";
import { historyChart } from "./chart.js";
import { h, put, setText, svg } from "./dom.js";
import * as format from "./format.js";
import { empty, keepLoaded, showFailure, skeleton } from "./loading.js";
import { alerts, choice, clockNotice, customerLink, movingCount, pageHead, segmentLink, table, tags, time } from "./parts.js";

const EVERY_MS = 10_000;
const MEMBERS = 10;
const SPANS = [["24", "24 hours"], ["168", "7 days"], ["2160", "90 days"]];
const CAUSES = {
  event: "Something they did",
  timer: "Time passing",
  definitions: "New definitions",
  model: "New model",
  erasure: "Erasure of their data",
};

export function openSegment(root, { stream, signal }, name) {
  const path = `/v1/segments/${encodeURIComponent(name)}`;
  const { element: head } = pageHead(format.title(name), "\u00a0");
  const crumb = h("p", { class: "crumb" }, h("a", { href: "/" }, "Segments"), " / ", h("span", { class: "soft" }, name));
  const body = h("div", { class: "stack" }, skeleton(5), skeleton(1, "block"));
  let parts = null;
  put(root, crumb, head, body);

  function show(data) {
    if (parts === null) {
      setText(head.querySelector("p"), data.description || "No description");
      parts = makeParts(data, path, stream, signal);
      put(body, ...parts.elements);
    }
    parts.show(data);
  }

  function fail(error, retry) {
    if (error.status !== 404) return showFailure(body, error, retry, "This segment could not be loaded");
    put(body, empty("There is no such segment", "It may have another name by now. ", h("a", { href: "/" }, "See all segments")));
  }

  stream.addEventListener("counts", ({ detail }) => parts?.count(detail), { signal });
  keepLoaded({ load: () => get(path, signal), show, fail, everyMs: EVERY_MS, stream, signal });
}

function makeParts(segment, path, stream, signal) {
  const clock = clockNotice();
  const marks = h("div", {});
  const numbers = makeNumbers(segment);
  const causes = h("div", {});
  const overlap = h("div", {});

  function show(data) {
    put(marks, alerts(data.alerts));
    marks.hidden = !data.alerts.length;
    numbers.show(data);
    put(causes, causeTable(data.causes));
    put(overlap, overlapTable(data));
  }

  function count({ counts, stream_clock: at, behind_s: behind }) {
    clock.show(at, behind);
    if (counts[segment.name]) numbers.move(...counts[segment.name]);
  }

  const elements = [
    clock.element,
    marks,
    numbers.element,
    historyCard(path, stream, signal),
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        { class: "stack" },
        conditionsCard(segment),
        factsCard(segment),
        h("section", { class: "card" }, h("h2", {}, "Why they come and go"), causes),
      ),
      h(
        "div",
        { class: "stack" },
        h("section", { class: "card" }, h("h2", {}, "Also members of"), overlap),
        membersCard(path, segment, stream, signal),
      ),
    ),
  ];
  return { elements, show, count };
}

function makeNumbers(segment) {
  const members = movingCount("span", segment.members, { "data-count": segment.name });
  const share = h("dd", { class: "note" });
  const heldOut = h("dd", {});
  const inflow = h("dd", {});
  const outflow = h("dd", {});
  const week = h("dd", {});
  const weekNote = h("dd", { class: "note" });
  const stay = h("dd", {});
  const tile = (term, ...values) => h("div", { class: "tile" }, h("dt", {}, term), ...values);
  const element = h(
    "dl",
    { class: "tiles" },
    tile("Members now", h("dd", {}, members.element), share),
    tile("Held out", heldOut, h("dd", { class: "note" }, "left alone, to compare")),
    tile("Entered", inflow, h("dd", { class: "note" }, "in the last hour")),
    tile("Left", outflow, h("dd", { class: "note" }, "in the last hour")),
    tile("Against a week ago", week, weekNote),
    tile("Usual stay", stay, h("dd", { class: "note" }, "half stay longer")),
  );

  function move(count, held) {
    members.move(count);
    setText(heldOut, format.count(held));
  }

  function show(now) {
    move(now.members, now.held_out);
    setText(share, now.share === null ? "" : `${format.share(now.share)} of all customers`);
    setText(inflow, format.count(now.entered_last_hour));
    setText(outflow, format.count(now.exited_last_hour));
    setText(week, now.week_ago === null ? "\u2013" : format.change(now.members - now.week_ago));
    week.className = now.week_ago === null || now.week_ago === now.members ? "" : now.members > now.week_ago ? "up" : "down";
    setText(weekNote, now.week_ago === null ? "no week to compare with yet" : `${format.count(now.week_ago)} then`);
    setText(stay, now.median_stay_s === null ? "\u2013" : format.span(now.median_stay_s));
  }

  return { element, move, show };
}

/** The size over a span that is chosen; with `measures` (key and name) also what of each point is drawn. */
export function historyCard(path, stream, signal, measures = []) {
  const chart = historyChart(signal);
  const place = h("div", {}, skeleton(1, "block"));
  let hours = SPANS[0][0];
  let measure = measures[0]?.[0] ?? "members";
  let drawn = [];
  const load = keepLoaded({
    load: async () => ({ hours, ...(await get(`${path}/history?hours=${hours}`, signal)) }),
    show: (data) => {
      if (data.hours !== hours) return load(); // another span was chosen meanwhile
      if (data.points.length < 2) return put(place, empty("Nothing to draw yet", "The curve begins with the second hour of the stream clock."));
      if (!place.contains(chart.element)) put(place, chart.element);
      drawn = data.points;
      chart.draw(drawn, measure);
    },
    fail: (error, retry) => showFailure(place, error, retry, "The curve could not be loaded"),
    everyMs: 30_000,
    stream,
    signal,
  });
  const spans = choice("How far back", "hours", SPANS, hours, (chosen) => {
    hours = chosen;
    load();
  });
  const kinds = measures.length > 0 && choice("What is drawn", "measure", measures, measure, (chosen) => {
    measure = chosen;
    if (drawn.length) chart.draw(drawn, measure);
  });
  return h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, "Members over time"), h("div", { class: "switches" }, kinds, spans)),
    place,
  );
}

function conditionsCard(segment) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Who is in it"),
    segment.words?.length ? h("ul", { class: "words" }, ...segment.words.map((words) => h("li", {}, h("span", {}, words)))) : null,
    segment.source &&
      h("details", { class: "plain" }, h("summary", {}, "As it is written"), h("pre", { class: "source", tabindex: "0" }, segment.source)),
  );
}

function factsCard(segment) {
  const facts = [
    ["Goal", segment.goal],
    ["Owner", segment.owner],
    ["Tags", segment.tags.length ? tags(segment.tags) : null],
    ["To be reviewed by", segment.review_by && format.date(segment.review_by)],
    ["Smallest useful size", segment.min_size === null ? null : format.count(segment.min_size)],
  ].filter(([, value]) => value);
  if (!facts.length) return null;
  const entries = facts.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]);
  return h("section", { class: "card" }, h("h2", {}, "About it"), h("dl", { class: "facts" }, ...entries));
}

export function causeTable(causes) {
  const names = [...new Set([...Object.keys(causes.in), ...Object.keys(causes.out)])];
  const largest = Math.max(1, ...Object.values(causes.in), ...Object.values(causes.out));
  if (!names.some((name) => causes.in[name] || causes.out[name])) {
    return h("p", { class: "soft small" }, "Nobody has come or gone within the last 24 hours of the stream clock.");
  }
  const cell = (number, kind) => h("td", { class: "number" }, format.count(number), meter(number / largest, kind));
  const row = (name) => h("tr", {}, h("th", { scope: "row" }, CAUSES[name] ?? name), cell(causes.in[name] ?? 0, "in"), cell(causes.out[name] ?? 0, "out"));
  const rows = Object.keys(CAUSES).filter((name) => causes.in[name] || causes.out[name]).map(row);
  return table("Changes of the last 24 hours by cause", [["Cause, last 24 h", "wide"], ["Entered", "number"], ["Left", "number"]], rows);
}

export function overlapTable({ overlap, members }) {
  const shared = overlap.filter((other) => other.members > 0);
  const shown = shared.filter(({ name }) => format.personaOf(name) === null).slice(0, 12);
  const personas = shared.filter(({ name }) => format.personaOf(name) !== null);
  if (!shown.length && !personas.length) return h("p", { class: "soft small" }, members ? "Its members are in no other segment." : "It has no members at the moment.");
  const row = (other) =>
    h("tr", {}, h("th", { scope: "row" }, segmentLink(other.name)), h("td", { class: "number" }, format.count(other.members)), h("td", { class: "number" }, format.share(other.share), meter(other.share)));
  const heads = (of) => [[of, "wide"], ["In both", "number"], ["Of this one", "number"]];
  return h(
    "div",
    { class: "stack" },
    shown.length > 0 && table("Overlap with other segments", heads("Segment"), shown.map(row)),
    personas.length > 0 && table("Personas of its members", heads("Persona"), personas.map(row)),
  );
}

export function membersCard(path, segment, stream, signal) {
  const rows = h("tbody", {});
  const more = h("button", { type: "button", hidden: true, onclick: next }, "Show more");
  const heads = ["Customer", "Member since", ""].map((text) => h("th", { scope: "col" }, text || h("span", { class: "unseen" }, "Held out")));
  const list = h("div", { class: "stack" }, h("table", {}, h("caption", { class: "unseen" }, "Members"), h("thead", {}, h("tr", {}, ...heads)), rows), h("div", {}, more));
  const place = h("div", {}, skeleton(4));
  let cursor = null;

  const row = (member) =>
    h("tr", {}, h("td", {}, customerLink(member.customer_id)), h("td", {}, time(member.since, format.minute)), h("td", { class: "number" }, member.holdout && h("span", { class: "tag" }, "held out")));

  function add(page) {
    rows.append(...page.members.map(row));
    cursor = page.cursor;
    more.hidden = !cursor;
  }

  function show(page) {
    if (!page.members.length) return put(place, h("p", { class: "soft small" }, "Nobody is in it at the moment."));
    put(rows);
    add(page);
    put(place, list);
  }

  async function next() {
    more.setAttribute("aria-disabled", "true");
    try {
      add(await get(`${path}/members?limit=${MEMBERS}&cursor=${encodeURIComponent(cursor)}`, signal));
    } catch (error) {
      if (!signal.aborted) showFailure(place, error, null, "The members could not be loaded");
    }
    more.removeAttribute("aria-disabled");
  }

  const fail = (error, retry) => showFailure(place, error, retry, "The members could not be loaded");
  keepLoaded({ load: () => get(`${path}/members?limit=${MEMBERS}`, signal), show, fail, stream, signal });
  const all = h("a", { class: "button", href: `${path}/members.csv`, download: `${segment.name}.csv` }, "All as CSV");
  return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, "Some of its members"), all), place);
}

/** A bar from 0 to 1; the number stands beside it. */
function meter(part, kind = "") {
  const bar = svg("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none" }, svg("rect", { width: Math.max(0, Math.min(100, part * 100)), height: 1 }));
  return h("span", { class: `meter ${kind}`, "aria-hidden": "true" }, bar);
}
