"use strict";

// The form: one text to one model, or to two side by side.

const panel = byId("try");
const form = byId("form");
const text = byId("text");
const agreement = byId("agreement");
const first = new Card(byId("answer"));
let second = null; // stands on the page only while two are compared

function besideCard() {
  const root = byId("answer").cloneNode(true);
  for (const each of [root, ...root.querySelectorAll("[id]")]) each.removeAttribute("id");
  root.removeAttribute("aria-labelledby");
  const made = new Card(root);
  made.clear();
  return made;
}

const secondName = () => byId("second")?.value ?? "";

/** Show as many cards as models are asked, each under its name. */
function arrange() {
  const name = secondName();
  panel.classList.toggle("compared", Boolean(name));
  if (name && !second) {
    second = besideCard();
    panel.append(second.root);
  } else if (!name && second) {
    second.request?.abort();
    second.root.remove();
    second = null;
  }
  agreement.hidden = !name;
  agreement.textContent = "";
  first.slot("title").textContent = name ? known().name : "Answer";
  if (second) {
    second.slot("title").textContent = name;
    second.root.setAttribute("aria-label", `Answer of ${name}`);
  }
}

const given = ({ labels }) => (labels.length ? labels.join(", ") : "no label");
const sameLabels = (one, other) => [...one.labels].sort().join("\n") === [...other.labels].sort().join("\n");

function agree(one, other) {
  if (sameLabels(one, other)) return `They agree: both give ${given(one)}.`;
  return `They differ: ${known().name} gives ${given(one)}, ${secondName()} gives ${given(other)}.`;
}

async function classify() {
  if (!text.value.trim()) {
    first.showFault({ message: "There is no text yet.", hint: "Write or paste one, then classify it." });
    text.focus();
    return;
  }
  agreement.textContent = "";
  const asked = [first.ask(text.value, known().model)];
  if (second) asked.push(second.ask(text.value, secondName()));
  const [one, other] = await Promise.all(asked);
  if (one && other) agreement.textContent = agree(one, other);
  if (one) openWithKey();
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

form.addEventListener("change", (event) => {
  if (event.target.id !== "second") return;
  arrange();
  if (text.value.trim()) classify();
});
