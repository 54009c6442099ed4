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

/** A named share of a whole, with a bar as long as it. */
function bar({ label, score, said = percent(score) }) {
  const row = element("li", "", "");
  const track = element("span", "track", "");
  const fill = element("span", "fill", "");
  track.setAttribute("aria-hidden", "true");
  fill.style.transform = `scaleX(${score})`;
  track.append(fill);
  row.append(element("span", "name", label), element("span", "share", said), track);
  return row;
}

function percent(score) {
  if (score > 0 && score < 0.001) return "< 0.1 %";
  if (score < 1 && score > 0.999) return "> 99.9 %";
  return `${(100 * score).toFixed(1)} %`;
}

const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

const headers = (more = {}) => (key ? { Authorization: `Bearer ${key.value.trim()}`, ...more } : more);

/** Show each address as the browser knows it: behind a proxy nobody else does. */
function showAddress() {
  for (const spot of document.querySelectorAll("[data-url]")) {
    spot.textContent = new URL(".", location.href).href.replace(/\/$/, "");
  }
}

/** A request that failed, in the server's own words. */
class Fault extends Error {
  constructor(message, hint, code, param) {
    super(message);
    this.hint = hint;
    this.code = code;
    this.param = param; // the field that it is about, where there is one
  }
}

/** The server's answer; throws Fault, or what `signal` aborts with. */
async function send(path, { type, more = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers({ ...(type && { "Content-Type": type }), ...more }) });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Fault("The server cannot be reached, or did not answer as it should.", "Is it still running?");
  }
  if (response.ok) return response;
  throw faultOf(response.status, await response.json().catch(() => ({})), response.headers.get("x-request-id"));
}

function faultOf(status, { error }, id) {
  if (!error) return new Fault("The server did not answer as it should.", `HTTP ${status}`);
  return new Fault(error.message, id ? `${error.code} · ${id}` : error.code, error.code, error.param);
}

const sendJson = (path, values, signal) =>
  send(path, { method: "POST", type: "application/json", body: JSON.stringify(values), signal });

function showFault(place, { message, hint }) {
  place.replaceChildren(element("p", "", message), ...(hint ? [element("p", "", hint)] : []));
}

/** Let the browser keep what the server answered, as a file of this name. */
async function save(response, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10 * SECOND);
}
