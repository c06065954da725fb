// The dashboard's JSON API: questions, and what went wrong in words.

import { personaOf } from "./format.js";

/** Why there is no answer: a code for the page, a message for people. `status` 0: nothing came back at all. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function get(path, signal) {
  return ask(path, { signal });
}

export function post(path, body, type, signal) {
  return ask(path, { method: "POST", body, headers: { "Content-Type": type }, signal });
}

/** Where a customer is asked for. The ids `.` and `..` can't stand in a browser's paths, hence the query. */
export function customerPath(id) {
  return placed("/v1/customers", id);
}

/** The page of a customer. */
export function customerPage(id) {
  return placed("/customers", id);
}

/** The page of a segment; those of personas have pages of their own. */
export function segmentPage(name) {
  const id = personaOf(name);
  return id === null ? `/segments/${encodeURIComponent(name)}` : personaPage(id);
}

export function personaPage(id) {
  return `/personas/${encodeURIComponent(id)}`;
}

/** Goes to the login page, and comes back here afterwards. */
export function signIn() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

function placed(base, id) {
  const text = encodeURIComponent(id.toWellFormed?.() ?? id);
  return id === "." || id === ".." ? `${base}?id=${text}` : `${base}/${text}`;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { Accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The dashboard does not answer. Is it still running?");
  }
  if (response.status === 401) {
    signIn();
    throw new ApiError(401, "login", "You have to sign in first.");
  }
  const body = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (!response.ok || body === null) {
    const message = body?.message ?? `The dashboard answered with status ${response.status}, and not as expected.`;
    throw new ApiError(response.status, body?.error ?? "unexpected", message);
  }
  return body;
}
