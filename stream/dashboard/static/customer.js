// One customer: where they belong, what is known of them, what happened, and why they are where they are.

import { customerPage, customerPath, get, personaPage } from "./api.js";
import { explanation, featureTable } from "./conditions.js";
import { h, put } from "./dom.js";
import * as format from "./format.js";
import { empty, keepLoaded, showFailure, skeleton } from "./loading.js";
import { changeItem, feed, pageHead, segmentLink, time } from "./parts.js";

const EVERY_MS = 5_000;
const FEED = 20;

/** The search, and who changed just now as a place to start from. */
export function openCustomers(root, context) {
  const asked = new URLSearchParams(location.search).get("id");
  if (asked) return openCustomer(root, context, asked);
  const { stream, signal, go } = context;
  const latest = feed(FEED, stream, signal);
  put(
    root,
    pageHead("Customers", "Look up a customer by the id that your events carry.").element,
    h("div", { class: "stack" }, lookup("", go), h("section", { class: "card" }, h("h2", {}, "Who changed just now"), latest.element)),
  );
  keepLoaded({ load: () => get(`/v1/changes?limit=${FEED}`, signal), show: ({ changes }) => latest.fill(changes), fail: () => {}, stream, signal });
}

export function openCustomer(root, { stream, signal, go }, id) {
  const { element: head, heading } = pageHead(id, null, lookup("", go));
  heading.className = "customer-id";
  const body = h("div", { class: "stack" }, skeleton(6), skeleton(1, "block"));
  const parts = makeParts();
  put(root, h("p", { class: "crumb" }, h("a", { href: "/customers" }, "Customers")), head, body);

  function show(data) {
    parts.show(data);
    if (!body.contains(parts.element)) put(body, parts.element);
  }

  function fail(error, retry) {
    if (error.status !== 404) return showFailure(body, error, retry, "This customer could not be loaded");
    const what = error.code === "erased_customer" ? "Their data was erased, and nothing has come since." : "No event of theirs has arrived. Ids are compared letter by letter, and capitals count.";
    put(body, empty("Nobody with this id is known", what));
  }

  const load = keepLoaded({ load: () => get(customerPath(id), signal), show, fail, everyMs: EVERY_MS, stream, signal });
  stream.addEventListener("change", ({ detail }) => detail.customer_id === id && load(), { signal });
}

function lookup(id, go) {
  const field = h("input", { id: "customer", name: "id", type: "search", "data-search": true, value: id, placeholder: "c006312", autocomplete: "off", spellcheck: "false", autocapitalize: "off", maxlength: 256, required: true });
  const found = (event) => {
    event.preventDefault();
    const wanted = field.value.trim();
    if (wanted) go(customerPage(wanted));
  };
  return h(
    "form",
    { class: "lookup", role: "search", "aria-label": "Customers", onsubmit: found },
    h("div", { class: "field" }, h("label", { for: "customer" }, "Customer id ", h("kbd", { "aria-hidden": "true" }, "/")), field),
    h("button", {}, "Look up"),
  );
}

function makeParts() {
  const persona = h("div", {});
  const segments = h("div", {});
  const facts = h("div", {});
  const features = h("div", {});
  const timeline = h("div", { class: "timeline" });
  const why = makeWhy();
  const element = h(
    "div",
    { class: "columns" },
    h(
      "div",
      { class: "stack" },
      h("section", { class: "card" }, h("h2", {}, "Is a member of"), segments, persona),
      h("section", { class: "card" }, h("h2", {}, "What is known"), features, facts),
      h("section", { class: "card" }, h("h2", {}, "What happened"), timeline),
    ),
    h("div", { class: "stack" }, why.element),
  );
  let shown = "";

  function show(data) {
    put(segments, memberships(data.segments));
    put(persona, personaPart(data.persona));
    put(facts, factList(data));
    keepOpen(features, () => put(features, featureParts(data)));
    why.show(data.worker?.why ?? null, data.worker_error);
    const changes = JSON.stringify(data.changes);
    if (changes !== shown) keepOpen(timeline, () => put(timeline, timelineOf(data.changes)));
    shown = changes;
  }

  return { element, show };
}

function memberships(segments) {
  const entries = Object.entries(segments);
  if (!entries.length) return h("p", { class: "soft small" }, "No segment at the moment. On this page you see what each one would ask for.");
  const item = ([name, { since, holdout }]) =>
    h("li", {}, h("span", {}, segmentLink(name), holdout ? [" ", h("span", { class: "tag", title: "Left alone, to compare with" }, "held out")] : null), h("span", { class: "soft" }, "since ", time(since, format.minute)));
  return h("ul", { class: "memberships" }, ...entries.map(([name, one]) => item([name, one])));
}

/** The persona: a link, what sets it apart, and since when they have had it. */
function personaPart(persona) {
  if (!persona) return null;
  return h(
    "div",
    { class: "has-persona", "data-persona": persona.id },
    h("h3", {}, "Persona"),
    h("p", {}, h("a", { href: personaPage(persona.id) }, format.personaTitle(persona.id)), h("span", { class: "soft" }, " since ", time(persona.since, format.minute))),
    persona.label && h("p", { class: "soft small break" }, persona.label),
  );
}

function featureParts({ worker }) {
  if (worker === null) return null;
  const words = worker.features_in_words ?? [];
  return [
    words.length ? h("ul", { class: "words" }, ...words.map((text) => h("li", {}, h("span", {}, text)))) : h("p", { class: "soft small" }, "The definitions name nothing that is kept of them."),
    Object.keys(worker.features ?? {}).length ? h("details", { class: "plain", "data-key": "features" }, h("summary", {}, "As the definitions write it"), featureTable(worker.features)) : null,
  ];
}

function factList({ worker, worker_error: trouble }) {
  if (worker === null) return h("p", { class: "notice" }, `The worker that has this customer gave no answer, so only what Redis holds is shown. ${trouble ?? ""}`);
  return h(
    "dl",
    { class: "facts", "data-facts": true },
    h("dt", {}, "Next possible change by time alone"),
    h("dd", {}, worker.next_timer ? time(worker.next_timer) : "None: only an event can change something"),
    h("dt", {}, "As of"),
    h("dd", {}, time(worker.at)),
  );
}

function timelineOf(changes) {
  if (!changes.length) return h("p", { class: "soft small" }, "Nothing yet, or it was longer ago than changes are kept.");
  const days = new Map();
  const moves = movesAmong(changes);
  const left = new Set(moves.values());
  for (const change of changes.filter((one) => !left.has(one))) {
    const day = format.day(change.at);
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(change);
  }
  return [...days].flatMap(([day, ofDay]) => [
    h("h3", { class: "day" }, day),
    h("ul", { class: "changes" }, ...ofDay.map((change) => withKey(changeItem(change, { withEvidence: true, from: moves.get(change) }), change.id))),
  ]);
}

/** Entries into personas, with the exits from others that belong to them: those just before, at the same instant. */
function movesAmong(changes) {
  const isOf = (change, kind) => change?.change === kind && change.segment && format.personaOf(change.segment) !== null;
  const pairs = changes.slice(1).map((before, i) => [changes[i], before]);
  return new Map(pairs.filter(([entry, exit]) => isOf(entry, "entered") && isOf(exit, "exited") && entry.at === exit.at && entry.sequence === exit.sequence + 1));
}

function withKey(item, key) {
  item.querySelector("details")?.setAttribute("data-key", key);
  return item;
}

/** What somebody has opened stays open when the content is made anew. */
function keepOpen(place, renew) {
  const open = new Set([...place.querySelectorAll("details[open]")].map((one) => one.dataset.key));
  renew();
  place.querySelectorAll("details").forEach((one) => (one.open = open.has(one.dataset.key)));
}

function makeWhy() {
  const list = h("div", { class: "why" });
  const place = h("div", {});
  const filter = h("select", { id: "why-filter", onchange: arrange }, h("option", { value: "" }, "All segments"), h("option", { value: "in" }, "Member of"), h("option", { value: "out" }, "Not a member of"));
  const element = h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, "Why, and why not"), h("label", { for: "why-filter", class: "unseen" }, "Which segments"), filter),
    place,
  );
  const items = new Map();
  let answer = [];

  function show(why, trouble) {
    filter.hidden = why === null;
    if (why === null) {
      put(place, h("p", { class: "soft small" }, trouble ? "Needs the worker that has this customer." : "Nothing is known."));
      return;
    }
    answer = why;
    for (const one of why) renew(one);
    if (!place.contains(list)) put(place, list);
    arrange();
  }

  /** Makes a segment's part anew where something in it has changed; what was open, and had the focus, keeps that. */
  function renew(one) {
    const text = JSON.stringify(one);
    const before = items.get(one.segment);
    if (before?.text === text) return;
    const element = explanation(one);
    if (before) {
      element.open = before.element.open;
      const hadFocus = before.element.querySelector("summary") === document.activeElement;
      before.element.replaceWith(element);
      if (hadFocus) element.querySelector("summary").focus();
    }
    items.set(one.segment, { element, text });
  }

  function arrange() {
    const wanted = answer.filter(({ member }) => !filter.value || member === (filter.value === "in"));
    const elements = wanted.map(({ segment }) => items.get(segment).element);
    const isSame = elements.length === list.children.length && elements.every((one, i) => list.children[i] === one);
    if (!isSame) put(list, elements.length ? elements : h("p", { class: "soft small" }, "None."));
  }

  return { element, show };
}
