"use strict";

const byId = (id) => document.getElementById(id);
const panel = byId("try");
const form = byId("form");
const text = byId("text");
const key = byId("key"); // stands on the page only where a key is needed
const answer = byId("answer");
const said = byId("said");
const fault = byId("fault");
const bars = byId("bars");
const usage = byId("usage");

let current = null; // the request whose answer is awaited

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

function bar({ label, score }) {
  const row = element("li", "", "");
  const track = element("span", "track", "");
  const fill = element("span", "fill", "");
  track.setAttribute("aria-hidden", "true");
  fill.style.transform = `scaleX(${score})`;
  track.append(fill);
  row.append(element("span", "name", label), element("span", "share", percent(score)), track);
  return row;
}

function verdicts({ labels, scores }) {
  if (!labels.length) return [element("p", "verdict", "No label is likely enough.")];
  const scoreOf = new Map(scores.map(({ label, score }) => [label, score]));
  return labels.map((label) => {
    const verdict = element("p", "verdict", "");
    verdict.append(element("b", "", label));
    // a label may be given and yet lie beyond the scores that were asked for
    if (scoreOf.has(label)) verdict.append(element("span", "", percent(scoreOf.get(label))));
    return verdict;
  });
}

function showAnswer({ results, usage: used }, milliseconds) {
  const [result] = results;
  said.replaceChildren(...verdicts(result));
  fault.replaceChildren();
  bars.replaceChildren(...result.scores.map(bar));
  const cut = result.truncated ? " The text is longer than the model reads: its end was left out." : "";
  const tokens = `${used.tokens.toLocaleString("en")} ${used.tokens === 1 ? "token" : "tokens"}`;
  usage.textContent = `${tokens} read, answered in ${milliseconds} ms.${cut}`;
}

function showFault(message, hint) {
  said.replaceChildren();
  bars.replaceChildren();
  usage.textContent = "";
  fault.replaceChildren(element("p", "", message), ...(hint ? [element("p", "", hint)] : []));
}

function headers() {
  const found = { "Content-Type": "application/json" };
  if (key) found.Authorization = `Bearer ${key.value.trim()}`;
  return found;
}

async function ask(signal) {
  const { bars: top, model } = panel.dataset; // which model, only where there are several
  const body = JSON.stringify({ input: text.value, top_k: Number(top), ...(model && { model }) });
  const began = performance.now();
  const response = await fetch("v1/classify", { method: "POST", headers: headers(), body, signal });
  const values = await response.json();
  if (response.ok) showAnswer(values, Math.round(performance.now() - began));
  else showFault(values.error.message, `${values.error.code} · ${response.headers.get("x-request-id")}`);
}

async function classify() {
  if (!text.value.trim()) {
    showFault("There is no text yet.", "Write or paste one, then classify it.");
    text.focus();
    return;
  }
  current?.abort();
  const request = new AbortController();
  current = request;
  answer.setAttribute("aria-busy", "true");
  try {
    await ask(request.signal);
  } catch (error) {
    if (request.signal.aborted) return;
    showFault("The server cannot be reached, or did not answer as it should.", "Is it still running?");
  }
  if (current === request) answer.setAttribute("aria-busy", "false");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  classify();
});

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    classify();
  }
});

// behind a proxy only the browser knows the address
for (const place of document.querySelectorAll("[data-url]")) {
  place.textContent = new URL(".", location.href).href.replace(/\/$/, "");
}
panel.hidden = false;
