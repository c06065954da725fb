// A page's data: asked for, asked for again from time to time, at once when the connection is back; and what is shown
// until it is there or when it does not come.

import { h, put } from "./dom.js";

/** Calls `show` with what `load` gives, now and then every `everyMs`; `fail` with the error while nothing was shown yet. */
export function keepLoaded({ load, show, fail, everyMs, stream, signal }) {
  let timer = 0;
  let running = false;
  let again = false;
  let shown = false;

  async function run() {
    if (signal.aborted) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    clearTimeout(timer);
    try {
      const data = await load(signal);
      if (signal.aborted) return;
      show(data);
      shown = true;
    } catch (error) {
      if (signal.aborted || error.status === 401) return;
      // A page that shows something keeps it: the connection's state says that it may be old.
      if (!shown || error.status > 0) fail(error, run);
      if (error.status === undefined) throw error; // a mistake of ours: into the console with it
    } finally {
      running = false;
      if (again && !signal.aborted) {
        again = false;
        run();
      } else if (everyMs && !signal.aborted) {
        timer = setTimeout(() => (document.hidden ? wait() : run()), everyMs);
      }
    }
  }

  function wait() {
    document.addEventListener("visibilitychange", run, { once: true, signal });
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  stream.addEventListener("regained", run, { signal });
  run();
  return run;
}

/** Grey shapes where something is about to be. */
export function skeleton(lines, kind = "line") {
  const shapes = Array.from({ length: lines }, () => h("span", { class: `skeleton ${kind}` }));
  return h("div", { class: `skeletons ${kind}s`, "aria-busy": "true" }, h("span", { class: "unseen" }, "Loading"), ...shapes);
}

/** What went wrong in words, with a button that tries again. */
export function failure(error, retry, heading = "This could not be loaded") {
  return h(
    "div",
    { class: "state failed", role: "alert" },
    h("h2", {}, heading),
    h("p", {}, error.message),
    retry && h("button", { type: "button", onclick: retry }, "Try again"),
  );
}

/** Nothing to show, and what to do about it. */
export function empty(heading, ...what) {
  return h("div", { class: "state" }, h("h2", {}, heading), h("p", {}, ...what));
}

export function showFailure(place, error, retry, heading) {
  put(place, failure(error, retry, heading));
}
