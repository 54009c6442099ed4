"use strict";

const byId = (id) => document.getElementById(id);
const [progress, fill, counts, where, fault] = ["progress", "fill", "counts", "where", "fault"].map(byId);
const [card, text, choices, done, skip, undo] = ["card", "text", "choices", "done", "skip", "undo"].map(byId);
const key = location.hash.slice(1); // never sent with a request for the page

let state = null;
let busy = false;

function button(label, number) {
  const made = document.createElement("button");
  made.type = "button";
  made.dataset.label = label;
  if (number < 10) {
    const hint = document.createElement("kbd");
    hint.textContent = number;
    made.append(hint);
  }
  const name = document.createElement("span");
  name.textContent = label;
  made.append(name);
  if (state.several) made.setAttribute("aria-pressed", "false");
  made.addEventListener("click", () => choose(made));
  return made;
}

function show() {
  const { row, labelled, left, skipped } = state;
  const all = labelled + left + skipped;
  fill.style.transform = `scaleX(${all ? labelled / all : 0})`;
  progress.setAttribute("aria-valuemax", all);
  progress.setAttribute("aria-valuenow", labelled);
  counts.textContent = `${labelled} labelled, ${left} left${skipped ? `, ${skipped} skipped` : ""}`;
  where.textContent = state.where;
  text.textContent = row === null ? "Nothing is left to label here. The answers are in the file." : state.text;
  text.scrollTop = 0;
  choices.replaceChildren(...(row === null ? [] : state.labels.map((label, at) => button(label, at + 1))));
  done.hidden = !state.several || row === null;
  skip.hidden = row === null;
  undo.disabled = !state.can_undo;
  card.setAttribute("aria-busy", "false");
}

function showFault(message) {
  fault.replaceChildren();
  if (!message) return;
  const said = document.createElement("p");
  said.textContent = message;
  fault.append(said);
}

async function ask(path, body) {
  if (busy) return;
  busy = true;
  try {
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    const how = path === "state" ? { headers } : { method: "POST", headers, body: JSON.stringify(body ?? {}) };
    const response = await fetch(path, how);
    const values = await response.json();
    if (response.ok) state = values;
    showFault(response.ok ? "" : wrong(values.error));
    if (response.ok) show();
  } catch {
    showFault("The session has ended, or cannot be reached. What was answered before is kept.");
  }
  busy = false;
}

function wrong({ code, message }) {
  return code === "wrong-key" ? "Open the whole address that the command has shown, with what follows the #." : message;
}

function choose(chosen) {
  if (!state.several) {
    ask("answer", { row: state.row, labels: [chosen.dataset.label] });
    return;
  }
  chosen.setAttribute("aria-pressed", String(chosen.getAttribute("aria-pressed") !== "true"));
}

function finish() {
  const pressed = choices.querySelectorAll('[aria-pressed="true"]');
  ask("answer", { row: state.row, labels: [...pressed].map((one) => one.dataset.label) });
}

done.addEventListener("click", finish);
skip.addEventListener("click", () => ask("skip", { row: state.row }));
undo.addEventListener("click", () => ask("undo"));

document.addEventListener("keydown", (event) => {
  if (!state || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const chosen = /^[1-9]$/.test(event.key) ? choices.children[Number(event.key) - 1] : null;
  const onButton = event.target.tagName === "BUTTON";
  if (chosen) choose(chosen);
  else if (event.key === "u") ask("undo");
  else if (state.row === null) return;
  else if (event.key === "s") ask("skip", { row: state.row });
  else if (event.key === "Enter" && state.several && !onButton) finish();
  else return;
  event.preventDefault();
});

ask("state");
