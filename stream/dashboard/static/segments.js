// All segments, a card each: filtered and sorted as the address says, with counts that move.

import { get, segmentPage } from "./api.js";
import { h, put, setText } from "./dom.js";
import * as format from "./format.js";
import { empty, keepLoaded, showFailure, skeleton } from "./loading.js";
import { alerts, clockNotice, feed, movingCount, pageHead, tags } from "./parts.js";
import { sparkline } from "./sparkline.js";

const EVERY_MS = 10_000; // what the stream of counts does not tell: flows, curves, shares
const FEED = 12;

const growth = (s) => (s.week_ago === null ? -Infinity : (s.members - s.week_ago) / Math.max(1, s.week_ago));
const SORTS = {
  file: ["As in the file", null],
  members: ["Most members", (a, b) => b.members - a.members],
  growth: ["Grown most in a week", (a, b) => growth(b) - growth(a)],
  shrunk: ["Shrunk most in a week", (a, b) => growth(a) - growth(b)],
  moving: ["Most moves last hour", (a, b) => moves(b) - moves(a)],
  alerts: ["Alerts first", (a, b) => b.alerts.length - a.alerts.length],
  name: ["Name", (a, b) => a.name.localeCompare(b.name)],
};
const moves = (s) => s.entered_last_hour + s.exited_last_hour;

export function openSegments(root, { stream, signal }) {
  const headline = h("p", { class: "headline" });
  const { element: head } = pageHead("Segments", "Who is in which group of customers at this moment, and who has just come and gone.", headline);
  const clock = clockNotice();
  const grid = h("div", { class: "cards" });
  const place = h("div", {}, skeleton(6, "card"));
  const latest = feed(FEED, stream, signal, ({ segment }) => !segment || format.personaOf(segment) === null);
  const cards = new Map();
  const filters = makeFilters(arrange);
  let answer = null;

  put(
    root,
    head,
    clock.element,
    filters.element,
    h(
      "div",
      { class: "with-feed" },
      h("section", { "aria-label": "Segments" }, place),
      h("section", { class: "card" }, h("h2", {}, "Just now"), latest.element),
    ),
  );

  function show(data) {
    const isFirst = answer === null || data.segments.map((s) => s.name).join() !== answer.segments.map((s) => s.name).join();
    answer = data;
    clock.show(data.stream_clock, data.behind_s);
    showHeadline();
    for (const segment of data.segments) {
      if (!cards.has(segment.name)) cards.set(segment.name, segmentCard(segment));
      cards.get(segment.name).show(segment);
    }
    filters.offer(data.segments);
    if (isFirst) arrange();
  }

  function showHeadline() {
    const { customers, stream_clock: at, segments } = answer;
    put(
      headline,
      h("span", {}, h("b", {}, format.count(segments.length)), segments.length === 1 ? " segment" : " segments"),
      customers !== null && h("span", {}, h("b", {}, format.count(customers)), " customers"),
      at && h("span", { title: format.exact(at) }, "Stream clock ", h("b", {}, format.instant(at))),
    );
  }

  /** Cards change places only here: when somebody asks for it, never because a count moved. */
  function arrange() {
    if (answer === null) return;
    const shown = filters.apply(answer.segments);
    put(grid, ...shown.map(({ name }) => cards.get(name).element));
    if (shown.length) put(place, grid);
    else if (answer.segments.length) {
      const clear = h("button", { type: "button", onclick: filters.clear }, "Show all segments");
      const none = empty("No segment is like that", "Look for another word, or take a filter back.");
      none.append(clear);
      put(place, none);
    } else {
      put(place, empty("There are no segments yet", "Start the dashboard with a definitions file: ", h("code", {}, "segstream dashboard segments.yaml")));
    }
  }

  stream.addEventListener("counts", ({ detail }) => {
    if (answer === null) return;
    clock.show(detail.stream_clock, detail.behind_s);
    answer.stream_clock = detail.stream_clock;
    showHeadline();
    for (const segment of answer.segments) {
      const counts = detail.counts[segment.name];
      if (counts === undefined) continue;
      [segment.members, segment.held_out] = counts;
      if (answer.customers) segment.share = segment.members / answer.customers;
      cards.get(segment.name).show(segment);
    }
  }, { signal });

  keepLoaded({
    load: () => get("/v1/segments", signal),
    show,
    fail: (error, retry) => showFailure(place, error, retry, "The segments could not be loaded"),
    everyMs: EVERY_MS,
    stream,
    signal,
  });
  keepLoaded({ load: () => get(`/v1/changes?of=segments&limit=${FEED}`, signal), show: ({ changes }) => latest.fill(changes), fail: () => {}, stream, signal });
}

function segmentCard(segment) {
  const members = movingCount("span", segment.members, { class: "segment-count", "data-count": segment.name });
  const curve = sparkline(segment.sparkline);
  const share = h("p", { class: "segment-share" });
  const inflow = h("b");
  const outflow = h("b");
  const week = h("span");
  const marks = h("div");
  const element = h(
    "article",
    { class: "card segment", "data-segment": segment.name },
    h(
      "div",
      {},
      h("h2", {}, h("a", { href: segmentPage(segment.name), title: segment.name }, format.title(segment.name))),
      h("p", { class: "description" }, segment.description ?? ""),
    ),
    h("div", { class: "segment-numbers" }, h("div", {}, members.element, h("span", { class: "unseen" }, " members")), curve.element),
    share,
    marks,
    h(
      "div",
      { class: "segment-flow" },
      h("span", { title: "Entered and left in the last hour of the stream clock" }, inflow, " in, ", outflow, " out in the last hour"),
      week,
    ),
    (segment.tags.length > 0 || segment.owner) && h("div", {}, tags([...segment.tags, ...(segment.owner ? [`by ${segment.owner}`] : [])])),
  );
  let shownAlerts = "";

  function show(now) {
    members.move(now.members);
    curve.draw(now.sparkline);
    const parts = [now.share === null ? null : `${format.share(now.share)} of customers`, now.held_out ? `${format.count(now.held_out)} held out` : null];
    setText(share, parts.filter(Boolean).join(" · "));
    setText(inflow, format.count(now.entered_last_hour));
    setText(outflow, format.count(now.exited_last_hour));
    showWeek(week, now);
    const messages = JSON.stringify(now.alerts);
    if (messages !== shownAlerts) put(marks, alerts(now.alerts));
    marks.hidden = !now.alerts.length;
    shownAlerts = messages;
  }

  return { element, show };
}

/** The change against a week ago: by sign and word, not by colour alone. */
export function showWeek(element, { members, week_ago: before }) {
  element.className = "";
  if (before === null) setText(element, "No week to compare with yet");
  else if (before === members) setText(element, "As many as a week ago");
  else {
    const difference = members - before;
    element.className = difference > 0 ? "up" : "down";
    element.title = `${format.count(before)} a week ago`;
    const far = before === 0 ? format.change(difference) : `${difference > 0 ? "+" : ""}${format.share(difference / before)}`;
    put(element, h("b", {}, far), " in a week");
  }
}

/** Search, tag, owner and order; they stand in the address, so a view can be kept and sent. */
function makeFilters(onChange) {
  const query = new URLSearchParams(location.search);
  const search = h("input", { type: "search", id: "search", "data-search": true, value: query.get("q") ?? "", placeholder: "Name, tag or owner", autocomplete: "off", spellcheck: "false" });
  const tag = h("select", { id: "tag" });
  const owner = h("select", { id: "owner" });
  const order = h("select", { id: "order" }, ...Object.entries(SORTS).map(([key, [text]]) => h("option", { value: key }, text)));
  order.value = query.get("sort") in SORTS ? query.get("sort") : "file";
  const field = (control, text, ...more) => h("div", { class: "field" }, h("label", { for: control.id }, text, ...more), control);
  const owners = field(owner, "Owner");
  const element = h("form", { class: "filters", role: "search", "aria-label": "Segments" }, field(search, "Search ", h("kbd", { "aria-hidden": "true" }, "/")), field(tag, "Tag"), owners, field(order, "Order"));
  const wanted = { tag: query.get("tag") ?? "", owner: query.get("owner") ?? "" };

  function changed() {
    wanted.tag = tag.value;
    wanted.owner = owner.value;
    const entries = { q: search.value.trim(), tag: tag.value, owner: owner.value, sort: order.value === "file" ? "" : order.value };
    const text = new URLSearchParams(Object.entries(entries).filter(([, value]) => value)).toString();
    history.replaceState(null, "", location.pathname + (text && `?${text}`));
    onChange();
  }

  element.addEventListener("submit", (event) => event.preventDefault());
  element.addEventListener("input", changed);

  function offer(segments) {
    fillSelect(tag, "All tags", segments.flatMap((s) => s.tags), wanted.tag);
    fillSelect(owner, "All owners", segments.map((s) => s.owner).filter(Boolean), wanted.owner);
    owners.hidden = owner.options.length < 2;
  }

  function apply(segments) {
    const words = search.value.trim().toLowerCase().split(/\s+/);
    const isWanted = (s) => {
      const text = [s.name, format.title(s.name), s.description, s.owner, ...s.tags].join(" ").toLowerCase();
      return words.every((word) => text.includes(word)) && (!wanted.tag || s.tags.includes(wanted.tag)) && (!wanted.owner || s.owner === wanted.owner);
    };
    const shown = segments.filter(isWanted);
    const compare = SORTS[order.value][1];
    return compare ? shown.sort(compare) : shown;
  }

  function clear() {
    search.value = "";
    tag.value = "";
    owner.value = "";
    changed();
    search.focus();
  }

  return { element, offer, apply, clear };
}

function fillSelect(select, all, values, chosen) {
  const options = ["", ...[...new Set(values)].sort()];
  if (options.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
  put(select, ...options.map((value) => h("option", { value }, value || all)));
  select.value = options.includes(chosen) ? chosen : "";
}
