"use strict";

// What the parts of the studio share: what is known, how it is told, and how a question is asked.

const studio = { files: [], jobs: [], models: [] };
const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const KILO = 1000;

const words = (status) => status.replaceAll("_", " ");
const whole = (count) => count.toLocaleString("en");
const figure = (value) => value.toLocaleString("en", { maximumSignificantDigits: 3 });

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log(Math.max(1, bytes)) / Math.log(KILO)));
  return `${figure(bytes / KILO ** power)} ${units[power]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return counted(Math.round(seconds / 60), "minute", "minutes");
  return `${figure(seconds / 3600)} hours`;
}

/** A moment, in seconds since 1970, as an element: short, and in full where one points at it. */
function moment(seconds) {
  const date = new Date(seconds * SECOND);
  const today = date.toDateString() === new Date().toDateString();
  const said = today
    ? date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })
    : date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  const made = element("time", "", said);
  made.dateTime = date.toISOString();
  made.title = date.toString();
  return made;
}

function button(said, label, act, kind = "second slim") {
  const made = element("button", kind, said);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

/** Facts in a row, parted by dots; texts and elements, of which null is left out. */
function facts(...parts) {
  const made = element("p", "meta", "");
  for (const part of parts.filter((each) => each !== null)) {
    if (made.childNodes.length) made.append(" · ");
    made.append(part);
  }
  return made;
}

/** One of a list of things: its name, what is known of it, and what can be done with it. */
function thing(name, about, ...actions) {
  const made = element("li", "thing", "");
  const told = element("div", "told", "");
  told.append(name instanceof Node ? name : element("p", "name", name), about);
  const acts = element("div", "acts", "");
  acts.append(...actions);
  made.append(told, acts);
  return made;
}

/** Fill a list; `empty` says what to do where there is nothing yet. */
function fill(list, things, empty) {
  list.replaceChildren(...(things.length ? things : [element("li", "none", empty)]));
}

function options(select, choices) {
  const before = select.value;
  select.replaceChildren(...choices.map(([value, said]) => new Option(said, value)));
  if (choices.some(([value]) => value === before)) select.value = before;
}

/** Do `work`; what the server refuses is told at `place`. Whether all went well. */
async function trying(place, work) {
  place.replaceChildren();
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    showFault(place, error);
    return false;
  }
}

/** Ask before something is gone for good. */
function sure(question, yes) {
  const dialog = byId("asking");
  byId("asked").textContent = question;
  byId("asking-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((tell) => {
    dialog.addEventListener("close", () => tell(dialog.returnValue === "yes"), { once: true });
  });
}

const json = async (path) => (await send(path)).json();

/** All of a list that comes by page. */
async function all(path) {
  const found = [];
  for (let after = ""; ; ) {
    const page = await json(`${path}?limit=100${after}`);
    found.push(...page.data);
    if (!page.has_more) return found;
    after = `&after=${encodeURIComponent(page.last_id)}`;
  }
}

/** What comes as server-sent events, one after the other: id and data. Throws Fault where it breaks off. */
async function* told(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      return { done: true };
    });
    if (done) throw new Fault("The server stopped in the middle of what it was telling.");
    text += value;
    const frames = text.split("\n\n");
    text = frames.pop();
    for (const frame of frames) {
      const event = Object.fromEntries(frame.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
      if (event.data === "[DONE]") return;
      if (!event.data) continue;
      const data = JSON.parse(event.data);
      if (data.error && !data.object) throw faultOf(0, data, "");
      yield { id: event.id, data };
    }
  }
}

function state(status) {
  return element("span", `state ${status}`, words(status));
}

const headed = (title, ...rest) => {
  const made = element("div", "part", "");
  made.append(element("h4", "", title), ...rest);
  return made;
};

function list(kind, parts, label) {
  const made = element(kind, "plain", "");
  if (label) made.setAttribute("aria-label", label);
  made.append(...parts);
  return made;
}

function measured(name, value, under = "") {
  const made = element("div", "", "");
  made.append(element("dt", "", name), element("dd", "value", value), element("dd", "span", under));
  return made;
}

function figures(...parts) {
  const made = element("dl", "figures", "");
  made.append(...parts.filter(Boolean));
  return made;
}

/** A table of rows; the first cell of each is its heading. */
function grid(label, heads, rows) {
  const table = element("table", "", "");
  const row = (cells, tags) => {
    const made = element("tr", "", "");
    made.append(...cells.map((cell, at) => element(tags[Math.min(at, 1)], at ? "number" : "", cell)));
    return made;
  };
  const [head, body] = [element("thead", "", ""), element("tbody", "", "")];
  head.append(row(heads, ["th", "th"]));
  body.append(...rows.map((cells) => row(cells, ["th", "td"])));
  for (const cell of head.querySelectorAll("th")) cell.scope = "col";
  for (const cell of body.querySelectorAll("th")) cell.scope = "row";
  table.append(head, body);
  const around = element("div", "scroll", "");
  around.tabIndex = 0;
  around.setAttribute("role", "group");
  around.setAttribute("aria-label", label);
  around.append(table);
  return around;
}

/** A card that shows one thing, with a heading and a way to close it. */
function opened(card, id, title, ...parts) {
  const top = element("div", "top", "");
  const heading = element("h3", "", title);
  heading.id = id;
  heading.tabIndex = -1;
  top.append(heading, button("Close", `Close ${title}`, () => (card.hidden = true)));
  card.replaceChildren(top, ...parts);
  card.hidden = false;
  return heading;
}
