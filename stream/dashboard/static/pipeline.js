// The pipeline: how much comes in, how far behind each part is, and what could not be read.

import { get } from "./api.js";
import { h, put, setText } from "./dom.js";
import * as format from "./format.js";
import { empty, keepLoaded, showFailure, skeleton } from "./loading.js";
import { pageHead, table, time } from "./parts.js";
import { sparkline } from "./sparkline.js";

const EVERY_MS = 2_000;
const REMEMBERED = 60; // readings: two minutes
const PHASES = { live: "in", behind: "warn", restoring: "warn" };

export function openPipeline(root, { stream, signal }) {
  const { element: head } = pageHead("Pipeline", "From the event to the segment: rates, delays, and what got stuck.");
  const body = h("div", { class: "stack" }, skeleton(2), skeleton(1, "block"));
  const numbers = makeNumbers();
  const workers = h("div", { class: "workers" });
  const letters = h("div", {});
  const behind = h("dl", { class: "facts" });
  const trouble = h("p", { class: "notice", hidden: true });
  const content = [
    trouble,
    numbers.element,
    h("section", { class: "card" }, h("h2", {}, "Workers"), workers),
    h("section", { class: "card" }, h("h2", {}, "Dead letters"), letters),
    h("section", { class: "card" }, h("h2", {}, "Redis"), behind),
  ];
  put(root, head, body);

  function show(data) {
    numbers.show(data);
    trouble.hidden = !data.broker_error;
    setText(trouble, data.broker_error ?? "");
    put(workers, workerParts(data));
    put(letters, letterParts(data.dead_letters));
    put(behind, ...redisFacts(data));
    if (!body.contains(workers)) put(body, ...content);
  }

  const fail = (error, retry) => showFailure(body, error, retry, "The state of the pipeline could not be loaded");
  keepLoaded({ load: () => get("/v1/pipeline", signal), show, fail, everyMs: EVERY_MS, stream, signal });
}

function makeNumbers() {
  const tile = (term, note) => {
    const value = h("dd", {});
    const under = h("dd", { class: "note" }, note);
    return { value, under, element: h("div", { class: "tile" }, h("dt", {}, term), value, under) };
  };
  const events = tile("Events a second", "");
  const changes = tile("Changes a second", "");
  const lag = tile("Waiting to be read", "records in all topics");
  const delay = tile("Delay of a change", "");
  const letters = tile("Dead letters", "events that could not be read");
  const sink = tile("On the way to Redis", "changes");
  const all = [events, changes, lag, delay, letters, sink];
  const element = h("dl", { class: "tiles" }, ...all.map((one) => one.element));
  const curves = [[events, "events_per_s"], [changes, "changes_per_s"]].map(([part, key]) => {
    const curve = sparkline([]);
    put(part.under, curve.element);
    return { key, curve, readings: [] };
  });

  function show(data) {
    setText(events.value, format.rate(data.events_per_s));
    setText(changes.value, format.rate(data.changes_per_s));
    setText(lag.value, format.count(data.lag_records));
    // The slowest worker's: an average would hide it.
    const slowest = (part) => Math.max(...data.workers.map((worker) => worker.change_delay_ms?.[part] ?? 0));
    setText(delay.value, data.workers.length ? format.span(slowest("p50") / 1000) : "\u2013");
    setText(delay.under, data.workers.length ? `99 of 100 below ${format.span(slowest("p99") / 1000)}` : "no worker tells it");
    setText(letters.value, format.count(data.dead_letters?.total));
    setText(sink.value, format.count(data.sink?.lag_records));
    for (const { key, curve, readings } of curves) {
      readings.push(data[key] ?? 0);
      curve.draw(readings.slice(-REMEMBERED));
    }
  }

  return { element, show };
}

function workerParts({ workers, broker_error: trouble }) {
  if (workers.length) return workers.map(workerPart);
  if (trouble) return h("p", { class: "soft small" }, "What workers tell can't be read at the moment.");
  return empty("No worker is running", "Start one with ", h("code", {}, "segstream worker segments.yaml"), ". Each tells every second how it is.");
}

function workerPart(worker) {
  const heads = [["Partition", ""], ["State", ""], ["Stream clock", ""], ["Waiting", "number"], ["Customers", "number"]];
  const rows = worker.partitions.map((part) => {
    const waiting = Object.values(part.lag_records).reduce((sum, records) => sum + records, 0);
    const detail = Object.entries(part.lag_records).map(([topic, records]) => `${topic}: ${format.count(records)}`).join(", ");
    const rest = part.remaining_records ? ` ${format.count(part.remaining_records)} records to go` : "";
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, part.partition),
      h("td", {}, h("span", { class: `tag ${PHASES[part.phase] ?? ""}` }, part.phase), rest),
      h("td", {}, time(part.stream_ms > 0 ? part.stream_ms : null, format.minute)),
      h("td", { class: "number", title: detail }, format.count(waiting)),
      h("td", { class: "number" }, format.count(part.profiles)),
    );
  });
  return h(
    "div",
    { class: "worker" },
    h(
      "div",
      { class: "worker-head" },
      h("h3", { class: "break" }, worker.instance),
      h("span", {}, worker.url ?? "without a port"),
      h("span", {}, `${format.rate(worker.events_per_s)} events/s`),
      h("span", {}, `${format.rate(worker.changes_per_s)} changes/s`),
      h("span", {}, `version ${worker.version}`),
    ),
    rows.length ? table(`Partitions of ${worker.instance}`, heads, rows) : h("p", { class: "soft small" }, "Has no partition at the moment."),
  );
}

function letterParts(letters) {
  if (!letters) return h("p", { class: "soft small" }, "They can't be read at the moment.");
  if (!letters.latest.length) return h("p", { class: "soft small" }, letters.total ? "None of those that were written is kept any more." : "None: every event could be read.");
  const row = (letter) =>
    h(
      "tr",
      {},
      h("td", {}, time(letter.at, format.minute)),
      h("td", {}, h("div", { class: "break" }, letter.reason), h("div", { class: "soft" }, letter.code)),
      h("td", {}, `${letter.source_topic} ${letter.partition}:${letter.offset}`),
      h("td", { class: "letter-value" }, letter.value ?? "\u2013"),
    );
  return table("The latest dead letters", [["Time", ""], ["Why", ""], ["Where it lay", ""], ["What it was", ""]], letters.latest.map(row));
}

function redisFacts({ sink, redis }) {
  const state = sink ? (sink.filled ? "complete" : "being filled for the first time") : "not known";
  const gaps = sink?.gaps ? `${format.count(sink.gaps)}: changes are missing, see the sink's log` : "none";
  const facts = [["Memberships in it", state], ["Gaps in the changes", gaps], ["Memory", format.bytes(redis?.used_memory)], ["Version", redis?.version ?? "\u2013"]];
  return facts.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]);
}
