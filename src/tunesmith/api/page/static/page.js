"use strict";

// What all parts of the page share. Each script adds to these; none runs code that stands in the page.

const byId = (id) => document.getElementById(id);
const key = byId("key"); // stands on the page only where a key is needed
const SECOND = 1000;

function element(tag, className, content) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

function percent(score) {
  if (score > 0 && score < 0.001) return "< 0.1 %";
  if (score < 1 && score > 0.999) return "> 99.9 %";
  return `${(100 * score).toFixed(1)} %`;
}

const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

// what the server knows of its models; the element changes with the model that is chosen
const known = () => byId("known").dataset;
const factsOf = (model) => JSON.parse(known().facts)[model] ?? {};

const headers = (more = {}) => (key ? { Authorization: `Bearer ${key.value.trim()}`, ...more } : more);

/** A request that failed, in the server's own words. */
class Fault extends Error {
  constructor(message, hint, code) {
    super(message);
    this.hint = hint;
    this.code = code;
  }
}

/** The server's answer; throws Fault, or what `signal` aborts with. */
async function send(path, { type, ...options } = {}) {
  const more = type ? { "Content-Type": type } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers(more) });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Fault("The server cannot be reached, or did not answer as it should.", "Is it still running?");
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  if (!error) throw new Fault("The server did not answer as it should.", `HTTP ${response.status}`);
  throw new Fault(error.message, `${error.code} · ${response.headers.get("x-request-id")}`, error.code);
}

const sendJson = (path, values, signal) =>
  send(path, { method: "POST", type: "application/json", body: JSON.stringify(values), signal });

function showFault(place, { message, hint }) {
  place.replaceChildren(element("p", "", message), ...(hint ? [element("p", "", hint)] : []));
}
