// The dashboard: its frame (connection, colours, footer), and the pages.

import { get } from "./api.js";
import { openCustomer, openCustomers } from "./customer.js";
import { h, put } from "./dom.js";
import { openDraft } from "./draft.js";
import * as format from "./format.js";
import { empty } from "./loading.js";
import { openPersona } from "./persona.js";
import { openPersonas } from "./personas.js";
import { openPipeline } from "./pipeline.js";
import { Router } from "./router.js";
import { openSegment } from "./segment.js";
import { openSegments } from "./segments.js";
import { Stream } from "./stream.js";

const STATES = { connecting: "Connecting", live: "Live", lost: "Connection lost", paused: "Paused" };

const ROUTES = [
  { pattern: /^\/(?:segments\/?)?$/, page: "segments", open: openSegments },
  { pattern: /^\/segments\/persona_(p\d+)$/, page: "personas", open: openPersona },
  { pattern: /^\/segments\/([^/]+)$/, page: "segments", open: openSegment },
  { pattern: /^\/personas\/?$/, page: "personas", open: openPersonas },
  { pattern: /^\/personas\/([^/]+)$/, page: "personas", open: openPersona },
  { pattern: /^\/customers\/?$/, page: "customers", open: openCustomers },
  { pattern: /^\/customers\/([^/]+)$/, page: "customers", open: openCustomer },
  { pattern: /^\/pipeline$/, page: "pipeline", open: openPipeline },
  { pattern: /^\/draft$/, page: "draft", open: openDraft },
  { pattern: /.*/, page: "", open: openNothing },
];

const stream = new Stream("/v1/stream");
const main = document.getElementById("main");

async function start() {
  showConnection();
  showTheme();
  const settings = await get("/v1/settings").catch(() => null);
  if (settings !== null) showSettings(settings);
  else stream.addEventListener("state", askAgain);
  new Router(main, ROUTES, { stream }).start();
  stream.retry();
}

/** The settings did not come: with the connection they will. */
async function askAgain() {
  if (stream.state !== "live") return;
  stream.removeEventListener("state", askAgain);
  const settings = await get("/v1/settings").catch(() => null);
  if (settings !== null) showSettings(settings);
}

function showSettings(settings) {
  format.setTimeZone(settings.time_zone);
  format.setAliases(settings.aliases);
  put(
    document.getElementById("foot"),
    h(
      "div",
      {},
      h("span", {}, `Times are those of ${format.timeZone()}`),
      h("span", {}, `segstream ${settings.version}`),
      settings.definitions && h("span", {}, "Definitions ", h("code", {}, settings.definitions)),
      settings.login &&
        h("form", { method: "post", action: "/logout" }, h("button", { class: "quiet" }, "Sign out")),
    ),
  );
}

function showConnection() {
  const mark = document.getElementById("connection");
  const notice = document.getElementById("lost");
  let trouble = null;

  function show() {
    const { state, lostAt } = stream;
    if (state !== "live") trouble = null;
    mark.dataset.state = trouble === null ? state : "lost";
    mark.textContent = trouble === null ? STATES[state] : "Standing still";
    notice.hidden = state !== "lost" && trouble === null;
    if (trouble !== null) put(notice, h("span", {}, `The numbers stand still: ${trouble}`));
    else if (state === "lost") {
      put(
        notice,
        h("span", {}, `No connection since ${format.clock(lostAt)}. What you see may be old; it goes on by itself.`),
        h("button", { type: "button", class: "small-action", onclick: () => stream.retry() }, "Try now"),
      );
    }
  }

  stream.addEventListener("state", show);
  stream.addEventListener("trouble", ({ detail }) => {
    trouble = detail.message;
    show();
  });
  stream.addEventListener("counts", () => {
    if (trouble === null) return;
    trouble = null;
    show();
  });
  show();
}

function showTheme() {
  const names = { system: "Auto", light: "Light", dark: "Dark" };
  const button = document.getElementById("theme");
  const show = () => {
    const name = names[document.documentElement.dataset.theme];
    button.textContent = name;
    button.setAttribute("aria-label", `Colours: ${name}. Change`);
  };
  button.addEventListener("click", () => window.segstreamTheme.next());
  addEventListener("themechange", show);
  show();
}

function openNothing(root) {
  document.title = "Nothing here · segstream";
  const place = empty("Nothing is here", "There is no such page. ", h("a", { href: "/" }, "Go to the segments"));
  put(root, h("h1", { class: "unseen", tabindex: "-1" }, "No such page"), place);
}

/** `/` goes to the page's search, wherever the focus is, unless something is being typed. */
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const search = main.querySelector("[data-search]");
  if (search === null) return;
  event.preventDefault();
  search.focus();
  search.select();
});

start();
