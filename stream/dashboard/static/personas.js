// All personas: how many have each, what sets it apart, who moved between them, and the versions they come from.

import { get, personaPage } from "./api.js";
import { deviations } from "./deviations.js";
import { h, put, setText } from "./dom.js";
import * as format from "./format.js";
import { empty, keepLoaded, showFailure, skeleton } from "./loading.js";
import { movementCard } from "./movement.js";
import { clockNotice, movingCount, pageHead, time } from "./parts.js";
import { showWeek } from "./segments.js";
import { sparkline } from "./sparkline.js";
import { versionsCard } from "./versions.js";

const EVERY_MS = 10_000;
const SHOWN = 4; // features on a card; its page has all
const EXAMPLE = `personas:
  features:
    orders: count(purchase, 90d)
    spent: sum(purchase.total, 90d)
    recency: last(purchase)
  k: 6
`;

export function openPersonas(root, { stream, signal }) {
  const headline = h("p", { class: "headline" });
  const { element: head } = pageHead("Personas", "Groups of customers with like habits, found by clustering. Whoever changes their habits moves to another.", headline);
  const clock = clockNotice();
  const trouble = h("p", { class: "notice", hidden: true });
  const grid = h("div", { class: "cards wide" });
  const body = h("div", { class: "stack" }, skeleton(6, "card"));
  const cards = new Map();
  let answer = null;
  let content = null;
  put(root, head, clock.element, trouble, body);

  function show(data) {
    answer = data;
    clock.show(data.stream_clock, data.behind_s);
    const said = troubleOf(data);
    trouble.hidden = said === "";
    setText(trouble, said);
    showHeadline();
    if (!data.personas.length) {
      content = null;
      return put(body, nothing(data));
    }
    for (const persona of data.personas) {
      if (!cards.has(persona.id)) cards.set(persona.id, personaCard(persona));
      cards.get(persona.id).show(persona, data);
    }
    const elements = data.personas.map(({ id }) => cards.get(id).element);
    if (elements.length !== grid.children.length || elements.some((one, i) => grid.children[i] !== one)) put(grid, ...elements);
    if (content !== null) return;
    content = [h("section", { "aria-label": "Personas" }, grid), movementCard(stream, signal), versionsCard(stream, signal)];
    put(body, ...content);
  }

  function showHeadline() {
    const { personas, members, version, pinned, effective_at: at } = answer;
    put(
      headline,
      personas.length > 0 && h("span", {}, h("b", {}, format.count(personas.length)), personas.length === 1 ? " persona" : " personas"),
      personas.length > 0 && h("span", {}, h("b", { "data-together": true }, format.count(members)), " customers have one"),
      version !== null && h("span", {}, "Version ", h("b", {}, format.count(version)), " of ", time(at, format.minute)),
      pinned !== null && h("span", { class: "tag warn" }, `pinned at version ${format.count(pinned)}`),
    );
  }

  stream.addEventListener("counts", ({ detail }) => {
    if (answer === null) return;
    clock.show(detail.stream_clock, detail.behind_s);
    const count = ({ segment, members }) => detail.counts[segment]?.[0] ?? members;
    answer.members = answer.personas.reduce((sum, persona) => sum + count(persona), 0);
    for (const persona of answer.personas) {
      persona.members = count(persona);
      persona.share = answer.members ? persona.members / answer.members : null;
      cards.get(persona.id).show(persona, answer);
    }
    showHeadline();
  }, { signal });

  const fail = (error, retry) => showFailure(body, error, retry, "The personas could not be loaded");
  keepLoaded({ load: () => get("/v1/personas", signal), show, fail, everyMs: EVERY_MS, stream, signal });
}

/** What is missing where personas are shown. */
function troubleOf({ personas, state, trouble }) {
  if (!personas.length) return "";
  if (state === "learned") return trouble ? `New versions can't be read: ${trouble}` : "";
  const why = {
    no_version: "no version is known",
    other_features: "no version is by the features of these definitions",
    not_defined: "these definitions have none; these are of earlier ones",
    unknown: `the broker does not tell: ${trouble ?? "it has not been asked yet"}`,
  };
  return `What sets personas apart is not known: ${why[state]}.`;
}

/** Why there are none, and what to do. */
function nothing({ state, trouble }) {
  if (state === "not_defined") {
    const place = empty("The definitions have no personas", "Say in the definitions file by what customers are compared and into how many groups they fall, and start all parts anew with it:");
    const command = h("code", {}, "segstream trainer segments.yaml");
    place.append(h("pre", { class: "source example", tabindex: "0" }, EXAMPLE), h("p", {}, "Besides the workers one trainer has to run: ", command, "."));
    return place;
  }
  if (state === "no_version") {
    return empty(
      "No version has been learned yet",
      "The trainer makes the first one as soon as it has enough samples of customers. Is it running? ",
      h("code", {}, "segstream trainer segments.yaml"),
    );
  }
  if (state === "other_features") {
    return empty(
      "No version fits these definitions",
      "Those that there are were learned by other features. A trainer that is started with these definitions begins anew: ",
      h("code", {}, "segstream trainer segments.yaml"),
    );
  }
  if (state === "unknown") return empty("It is not known whether there are personas", `The broker does not tell: ${trouble ?? "it has not been asked yet"}`);
  return empty("Nobody has a persona yet", "There is a version; customers get their personas with their next event.");
}

function personaCard(persona) {
  const members = movingCount("span", persona.members, { class: "segment-count", "data-count": persona.segment });
  const curve = sparkline(persona.sparkline);
  const label = h("p", { class: "description" });
  const share = h("p", { class: "segment-share" });
  const apart = h("div", {});
  const inflow = h("b");
  const outflow = h("b");
  const week = h("span");
  const gone = h("p", { class: "alert", hidden: true }, "Gone with the newest version: its last members are on their way to others.");
  const element = h(
    "article",
    { class: "card segment persona", "data-persona": persona.id },
    h("div", {}, h("h2", {}, h("a", { href: personaPage(persona.id), title: persona.segment }, format.personaTitle(persona.id))), label),
    h("div", { class: "segment-numbers" }, h("div", {}, members.element, h("span", { class: "unseen" }, " members")), curve.element),
    share,
    gone,
    apart,
    h("div", { class: "segment-flow" }, h("span", { title: "Entered and left in the last hour of the stream clock" }, inflow, " in, ", outflow, " out in the last hour"), week),
  );
  let drawn = "";

  function show(now, { features, version }) {
    members.move(now.members);
    curve.draw(now.sparkline);
    setText(label, now.label ?? "");
    setText(share, now.share === null ? "" : `${format.share(now.share)} of all who have a persona`);
    setText(inflow, format.count(now.entered_last_hour));
    setText(outflow, format.count(now.exited_last_hour));
    showWeek(week, now);
    gone.hidden = now.is_in_version || version === null;
    const text = JSON.stringify(now.values);
    if (text !== drawn) put(apart, now.values && deviations(now.values, features, SHOWN));
    drawn = text;
  }

  return { element, show };
}
