"use strict";

// One message to two models, whose answers stream side by side.

const MOST_TOKENS = 400;
const MOST_LABELS = 20;
let talking = null; // aborts the answers under way

function arrangeTalk() {
  const names = studio.models.map(({ id }) => [id, id]);
  const first = !byId("left").value;
  options(byId("left"), names);
  options(byId("right"), [["", "none"], ...names]);
  if (first) pair(studio.models.find((model) => !isBase(model)));
  if (answers.some(({ shown, model }) => shown !== model?.id)) nameAnswers();
}

/** Choose a model that was tuned, beside the base with which it began. */
function pair(model) {
  if (!model) return;
  byId("right").value = model.id;
  if (studio.models.some(({ id }) => id === model.base)) byId("left").value = model.base;
  nameAnswers();
}

function tryModel(id) {
  const model = studio.models.find((each) => each.id === id);
  if (!model) return;
  if (isBase(model)) byId("left").value = id;
  else pair(model);
  nameAnswers();
  byId("try").scrollIntoView();
  byId("message").focus({ preventScroll: true });
}

/** A card where one model answers. */
class Said {
  constructor(side) {
    this.side = side;
    this.card = byId(`said-${side}`);
    this.title = element("h3", "quiet-heading", "");
    this.answer = element("div", "words", "");
    this.answer.setAttribute("role", "status");
    this.note = element("p", "note", "");
    this.place = element("div", "fault", "");
    this.place.setAttribute("role", "alert");
    this.card.replaceChildren(this.title, this.place, this.answer, this.note);
  }

  get model() {
    return studio.models.find(({ id }) => id === byId(this.side).value);
  }

  name() {
    this.card.hidden = !this.model;
    this.shown = this.model?.id;
    this.title.textContent = this.model?.id ?? "";
    this.clear();
    this.answer.replaceChildren(element("p", "waiting", "Its answer will stand here."));
  }

  clear() {
    for (const each of [this.answer, this.note, this.place]) each.replaceChildren();
  }

  async ask(values, signal) {
    const { id, form } = this.model;
    const chooses = form === "classifier";
    const more = chooses ? { logprobs: true, top_logprobs: MOST_LABELS } : { max_tokens: MOST_TOKENS };
    this.clear();
    this.card.setAttribute("aria-busy", "true");
    const began = performance.now();
    try {
      await trying(this.place, async () => {
        const path = "v1/chat/completions";
        const answer = await sendJson(path, { model: id, ...values, ...more, stream: true }, signal);
        for await (const { data } of told(answer)) for (const choice of data.choices) this.add(choice, chooses);
        this.note.append(`Answered in ${figure((performance.now() - began) / SECOND)} s.`);
      });
    } catch (error) {
      if (!signal.aborted) throw error;
      this.note.textContent = "Stopped.";
    } finally {
      this.card.setAttribute("aria-busy", "false");
    }
  }

  add({ delta, logprobs, finish_reason: reason }, chooses) {
    const [token] = logprobs?.content ?? [];
    if (chooses && token) this.answer.replaceChildren(...labelParts(token));
    else if (delta.content && !chooses) this.answer.append(delta.content);
    if (reason === "length") this.note.append(`Cut off after ${whole(MOST_TOKENS)} tokens. `);
  }
}

function labelParts({ token, logprob, top_logprobs: likely }) {
  const line = element("p", "verdict", "");
  line.append(element("b", "", token), element("span", "", percent(Math.exp(logprob))));
  const bars = likely.map((each) => bar({ label: each.token, score: Math.exp(each.logprob) }));
  const made = list("ol", bars, "Probability of each label");
  made.className = "bars";
  return [line, made];
}

const answers = ["left", "right"].map((side) => new Said(side));
const nameAnswers = () => answers.forEach((each) => each.name());

async function talk() {
  const [system, message] = ["system", "message"].map((id) => byId(id).value);
  const asked = answers.filter(({ model }) => model);
  if (!message.trim() || !asked.length) {
    byId("message").focus();
    return;
  }
  talking?.abort();
  const request = (talking = new AbortController());
  const before = system.trim() ? [{ role: "system", content: system }] : [];
  const messages = [...before, { role: "user", content: message }];
  const values = { messages, temperature: Number(byId("temperature").value) };
  byId("stop").hidden = false;
  await Promise.all(asked.map((each) => each.ask(values, request.signal)));
  if (talking === request) byId("stop").hidden = true;
}

const sayTemperature = () =>
  (byId("temperature-said").textContent = Number(byId("temperature").value).toFixed(1));

byId("talk").addEventListener("submit", (event) => {
  event.preventDefault();
  talk();
});
byId("talk").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  talk();
});
byId("talk").addEventListener("change", ({ target }) => {
  if (["left", "right"].includes(target.id)) nameAnswers();
});
byId("temperature").addEventListener("input", sayTemperature);
byId("stop").addEventListener("click", () => talking?.abort());
sayTemperature();
