// Server-sent events, read by fetch: so a silent connection is noticed, a missing login is told from a missing
// server, and pages hear when the connection was lost and regained.

import { signIn } from "./api.js";

const SILENT_MS = 25_000; // the server says something every 10 s
const HIDDEN_MS = 60_000; // a tab that nobody looks at gives its connection back after so long
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 8_000;

/** Events: `counts` and `change` with the data as `detail`; `state` with connecting, live, lost or paused; `regained`. */
export class Stream extends EventTarget {
  #path;
  #abort = null;
  #timer = 0;
  #watchdog = 0;
  #hiding = 0;
  #wait = FIRST_WAIT_MS;
  #wasLive = false;

  state = "connecting";
  /** Since when the connection is lost, by this computer's clock. */
  lostAt = null;

  constructor(path) {
    super();
    this.#path = path;
    addEventListener("online", () => this.retry());
    addEventListener("pagehide", () => this.#end());
    addEventListener("pageshow", (event) => event.persisted && this.retry());
    document.addEventListener("visibilitychange", () => this.#visibility());
  }

  /** Connects now, unless connected. */
  retry() {
    if (this.#abort !== null) return;
    clearTimeout(this.#timer);
    this.#run();
  }

  async #run() {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      this.#listen();
      const response = await fetch(this.#path, { headers: { Accept: "text/event-stream" }, signal: abort.signal });
      if (response.status === 401) return signIn();
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.#wait = FIRST_WAIT_MS;
      this.#connected();
      await this.#read(response.body.getReader());
    } catch {
      // Refused, broken off, silent: all the same to whoever looks at the page, and mended in the same way.
    }
    if (this.#abort === abort) this.#lost();
  }

  async #read(reader) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#listen();
      const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      blocks.forEach((block) => this.#tell(block));
    }
  }

  #tell(block) {
    let type = "message";
    const data = [];
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith("event:")) type = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
    }
    if (data.length) this.dispatchEvent(new CustomEvent(type, { detail: JSON.parse(data.join("\n")) }));
  }

  #connected() {
    this.#change("live");
    this.lostAt = null;
    if (this.#wasLive) this.dispatchEvent(new Event("regained"));
    this.#wasLive = true;
  }

  #lost() {
    this.#end();
    this.lostAt ??= new Date();
    this.#change("lost");
    this.#timer = setTimeout(() => this.retry(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LAST_WAIT_MS);
  }

  #end() {
    const abort = this.#abort;
    this.#abort = null;
    clearTimeout(this.#watchdog);
    clearTimeout(this.#timer);
    abort?.abort();
  }

  #listen() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost(), SILENT_MS);
  }

  #visibility() {
    clearTimeout(this.#hiding);
    if (!document.hidden) return this.retry();
    this.#hiding = setTimeout(() => {
      this.#end();
      this.#change("paused");
    }, HIDDEN_MS);
  }

  #change(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
