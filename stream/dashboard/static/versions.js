// The versions of the personas: how good each is, and what happened to personas by them.

import { get } from "./api.js";
import { h, put } from "./dom.js";
import * as format from "./format.js";
import { keepLoaded, showFailure, skeleton } from "./loading.js";
import { segmentLink, table, time } from "./parts.js";

const EVERY_MS = 30_000;
const SHOWN = 7;
const EVENTS_SHOWN = 6;
const EVENTS = {
  birth: ["New", "in"],
  death: ["Gone", "out"],
  drift: ["Drift", "warn"],
  shift: ["Moved", "accent"],
  refused: ["No version", "warn"],
};

export function versionsCard(stream, signal) {
  const versions = h("div", {}, skeleton(4));
  const events = h("div", {}, skeleton(4));
  let shown = "";

  function show(data) {
    const text = JSON.stringify([data.version, data.pinned, data.versions, data.events]);
    if (text === shown) return;
    shown = text;
    put(versions, versionParts(data));
    put(events, eventParts(data.events));
  }

  const fail = (error, retry) => showFailure(versions, error, retry, "The versions could not be loaded");
  keepLoaded({ load: () => get("/v1/personas/versions", signal), show, fail, everyMs: EVERY_MS, stream, signal });
  return h(
    "div",
    { class: "columns" },
    h("section", { class: "card" }, h("h2", {}, "Versions"), versions),
    h("section", { class: "card" }, h("h2", {}, "What happened to personas"), events),
  );
}

function versionParts({ versions, version: inForce, pinned }) {
  if (!versions.length) return h("p", { class: "soft small" }, "No version is known.");
  const pin = pinned !== null && h("p", { class: "alert" }, `Personas stay at version ${format.count(pinned)}: it is pinned, and no other is published until that ends. `, h("code", {}, "segstream personas unpin"));
  const [first, rest] = [versions.slice(0, SHOWN), versions.slice(SHOWN)];
  const old = rest.length > 0 && h("details", { class: "plain" }, h("summary", {}, `${format.plural(rest.length, "older version")}`), versionTable("Older versions", rest, inForce, pinned));
  return h(
    "div",
    { class: "stack" },
    pin,
    versionTable("Versions", first, inForce, pinned),
    old,
    h("p", { class: "soft small" }, "Found on samples that were not learned from. Distance: how far customers are from the middle of their persona, in scales; less is better. Silhouette: how clearly they belong to it, 1 at most."),
  );
}

function versionTable(caption, versions, inForce, pinned) {
  const heads = [["Version", ""], ["Of", ""], ["Age", "number"], ["Personas", "number"], ["Distance", "number"], ["Silhouette", "number"], ["Samples", "number"]];
  const row = (one) =>
    h(
      "tr",
      { "data-version": one.version },
      h("th", { scope: "row" }, format.count(one.version), one.copy_of !== null && h("span", { class: "soft", title: "An earlier version, brought back" }, ` as ${format.count(one.copy_of)}`), one.version === inForce && [" ", h("span", { class: "tag in" }, "in force")], one.version === pinned && [" ", h("span", { class: "tag warn" }, "pinned")], !one.fits && [" ", h("span", { class: "tag", title: "It is by other features than the definitions have" }, "other features")]),
      h("td", {}, time(one.effective_at, format.minute)),
      h("td", { class: "number" }, one.age_s === null || one.age_s < 0 ? "\u2013" : format.span(one.age_s)),
      h("td", { class: "number" }, format.count(one.personas.length)),
      h("td", { class: "number", title: one.before === null ? null : `${one.before.toFixed(3)} by the version before, on the same samples` }, one.distance.toFixed(3)),
      h("td", { class: "number" }, one.silhouette.toFixed(2)),
      h("td", { class: "number" }, format.count(one.samples)),
    );
  return table(caption, heads, versions.map(row));
}

function eventParts(events) {
  if (!events.length) return h("p", { class: "soft small" }, "Nothing yet: none was born or has gone, and none has moved so far that it would be told.");
  const list = (some) => h("ul", { class: "changes" }, ...some.map(eventItem));
  const [first, rest] = [events.slice(0, EVENTS_SHOWN), events.slice(EVENTS_SHOWN)];
  if (!rest.length) return list(first);
  return [list(first), h("details", { class: "plain" }, h("summary", {}, `${format.count(rest.length)} earlier`), list(rest))];
}

function eventItem({ id, at, version, event, persona, label, words }) {
  const [word, kind] = EVENTS[event] ?? [event, ""];
  return h(
    "li",
    { "data-event": id },
    h("div", { class: "change-head" }, h("span", { class: `tag ${kind}` }, word), persona && segmentLink(`persona_${persona}`), time(at, format.minute)),
    h("p", { class: "change-words" }, words, label && event !== "refused" ? ` (${label})` : "", ` \u00b7 version ${format.count(version)}`),
  );
}
