// Numbers, shares, spans and instants as people read them; instants in the shop's time zone.

const LOCALE = "en-GB";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 3 });
const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });
const MINUS = "\u2212";
const NONE = "\u2013";

let zone = "UTC";
let aliases = new Map();
let formats = makeFormats();

/** Takes the shop's time zone; one that this browser does not know becomes UTC. */
export function setTimeZone(name) {
  try {
    new Intl.DateTimeFormat(LOCALE, { timeZone: name });
    zone = name;
  } catch {
    zone = "UTC";
  }
  formats = makeFormats();
}

/** Takes the names that the definitions give to personas, by their ids. */
export function setAliases(byId) {
  aliases = new Map(Object.entries(byId ?? {}));
}

export const timeZone = () => zone;

export function count(number) {
  return isNumber(number) ? whole.format(number).replace("-", MINUS) : NONE;
}

/** A count for an axis: 12K. */
export function short(number) {
  return Math.abs(number) < 10_000 ? fine.format(number).replace("-", MINUS) : compact.format(number).replace("-", MINUS);
}

/** With its sign, also when it is positive. */
export function change(number) {
  if (!isNumber(number)) return NONE;
  return number > 0 ? `+${count(number)}` : count(number);
}

export function share(number) {
  if (!isNumber(number)) return NONE;
  const percent = number * 100;
  if (percent > 0 && percent < 0.1) return "< 0.1 %";
  const text = percent.toFixed(Math.abs(percent) < 10 ? 1 : 0);
  return `${text.replace("-", MINUS)} %`;
}

export function rate(number) {
  if (!isNumber(number)) return NONE;
  return number >= 100 ? count(number) : number.toFixed(1);
}

export function bytes(number) {
  if (!isNumber(number)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = number < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(number) / 10));
  const value = number / 1024 ** step;
  return `${step && value < 100 ? value.toFixed(1) : whole.format(value)} ${units[step]}`;
}

/** A span of seconds in its two largest units: 3 h 12 min. */
export function span(seconds) {
  if (!isNumber(seconds)) return NONE;
  const rest = Math.abs(seconds);
  if (rest < 1) return rest === 0 ? "0 s" : `${Math.round(rest * 1000)} ms`;
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => Math.round(rest) >= size);
  const whole = Math.round(rest);
  const [name, size] = units[first];
  const parts = [`${count(Math.floor(whole / size))} ${name}`];
  const next = units[first + 1];
  if (next && Math.floor((whole % size) / next[1])) parts.push(`${Math.floor((whole % size) / next[1])} ${next[0]}`);
  return parts.join(" ");
}

/** 9 Oct 2025, 11:36:15 */
export function instant(at) {
  return formatted("instant", at);
}

/** 9 Oct, 11:36 */
export function minute(at) {
  return formatted("minute", at);
}

/** 11:36:15 */
export function clock(at) {
  return formatted("clock", at);
}

/** 9 Oct 2025 */
export function date(at) {
  return formatted("date", at);
}

/** Tells days apart, by the shop's calendar. */
export function day(at) {
  return formatted("day", at);
}

/** The instant as the server writes it, for titles. */
export function exact(at) {
  const value = new Date(at);
  return Number.isNaN(value.getTime()) ? String(at) : value.toISOString();
}

/** Short texts under a chart, by how far apart they are. */
export function tick(seconds, apart) {
  return formatted(apart >= 86_400 ? "tickDay" : "tickHour", seconds * 1000);
}

/** A value of a condition: instants in the shop's time, durations in words, text in quotation marks. */
export function value(expression, given, isSpan = isDuration(expression)) {
  if (given === null || given === undefined) return "nothing yet";
  if (typeof given === "boolean") return given ? "yes" : "no";
  if (typeof given === "number") return isSpan ? span(given / 1000) : fine.format(given).replace("-", MINUS);
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(given)) return instant(given);
  return `\u201c${given}\u201d`;
}

/** cart_abandoner: Cart abandoner; persona_p3: Persona p3, or its alias. */
export function title(name) {
  const id = personaOf(name);
  if (id !== null) return personaTitle(id);
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The persona whose members are in a segment; null for any other segment. */
export function personaOf(name) {
  return /^persona_(p[1-9][0-9]{0,8})$/.exec(name)?.[1] ?? null;
}

/** p3: Persona p3; with the alias that the definitions give it: Bargain hunters (p3). */
export function personaTitle(id) {
  return aliases.has(id) ? `${title(aliases.get(id))} (${id})` : `Persona ${id}`;
}

/** The value of a feature of personas: three figures are enough for the middle of many customers. */
export function amount(number) {
  if (!isNumber(number)) return NONE;
  const size = Math.abs(number);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return new Intl.NumberFormat(LOCALE, { maximumFractionDigits: digits }).format(number).replace("-", MINUS);
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

const isNumber = (number) => typeof number === "number" && Number.isFinite(number);
const isDuration = (expression) => /^since\(/.test(expression) || /^(first|last)\(.*\) - (first|last)\(/.test(expression);

function formatted(name, at) {
  const value = new Date(at);
  return at === null || at === undefined || Number.isNaN(value.getTime()) ? NONE : formats[name].format(value);
}

function makeFormats() {
  const make = (options) => new Intl.DateTimeFormat(LOCALE, { timeZone: zone, hourCycle: "h23", ...options });
  const time = { hour: "2-digit", minute: "2-digit" };
  const calendar = { day: "numeric", month: "short" };
  return {
    instant: make({ ...calendar, year: "numeric", ...time, second: "2-digit" }),
    minute: make({ ...calendar, ...time }),
    clock: make({ ...time, second: "2-digit" }),
    date: make({ ...calendar, year: "numeric" }),
    day: make({ weekday: "long", ...calendar, year: "numeric" }),
    tickDay: make(calendar),
    tickHour: make(time),
  };
}
