"use strict";

// One model's answer: the label, what its probability means, the bars, and why.

const STRONG = [0.6, 0.3, 0.15]; // of the largest score: how strongly a word is marked
const MOST_TELLING = 5;
const FEWEST_ANSWERS = 10; // of fewer nobody could tell how often they are right

// what the server knows of its models; the element changes with the model that is chosen
const known = () => byId("known").dataset;
const factsOf = (model) => JSON.parse(known().facts)[model] ?? {};

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

const whole = (share) => Math.round(100 * share);

/** How often answers of such a probability were right on the test rows; "" where that is not known. */
function holds({ score }, { bins = [], several }) {
  const found = bins.find(({ low, high }) => score > low && score <= high);
  if (score === null || !found) return "";
  const range = `${whole(found.low)} to ${whole(found.high)} %`;
  const what = several ? "labels that test texts got" : "test texts answered";
  if (found.rows < FEWEST_ANSWERS) {
    return `Only ${found.rows} ${what} with ${range}: too few to say how often that is right.`;
  }
  const { value, low, high } = found.right;
  const interval = `95 % interval ${whole(low)} to ${whole(high)} %`;
  const rows = found.rows.toLocaleString("en");
  return `Of ${what} with ${range}, ${whole(value)} % were right (n = ${rows}, ${interval}).`;
}

function strength(score, largest) {
  const steps = STRONG.filter((least) => Math.abs(score) >= least * largest).length;
  return largest ? steps : 0;
}

/** The text with its words marked; what was not read stays as it is. */
function marked(text, words) {
  const characters = [...text]; // places count code points, not UTF-16
  const largest = Math.max(0, ...words.map(({ score }) => Math.abs(score)));
  const shown = element("div", "marked", "");
  shown.tabIndex = 0; // a long one scrolls
  shown.setAttribute("role", "group");
  shown.setAttribute("aria-label", "The text with its words marked");
  let at = 0;
  for (const { start, end, score } of words) {
    shown.append(characters.slice(at, start).join(""));
    const steps = strength(score, largest);
    const word = characters.slice(start, end).join("");
    shown.append(steps ? element("mark", `${score > 0 ? "for" : "against"} w${steps}`, word) : word);
    at = end;
  }
  shown.append(characters.slice(at).join(""));
  return shown;
}

const signed = (score) => `${score < 0 ? "−" : "+"}${Math.abs(score).toFixed(2)}`;

function telling(words, sign) {
  const found = words.filter(({ score }) => sign * score > 0);
  found.sort((one, other) => sign * (other.score - one.score));
  return found.slice(0, MOST_TELLING);
}

function listed(title, words) {
  const item = element("div", "", "");
  const names = words.map(({ text, score }) => {
    const name = element("span", "word", "");
    name.append(element("span", "", text), " ", element("span", "by", signed(score)));
    return name;
  });
  const said = element("dd", "", "");
  said.append(...(names.length ? names : ["no word"]));
  item.append(element("dt", "", title), said);
  return item;
}

function legend(label) {
  const said = element("p", "legend", "");
  const [pro, contra] = [element("mark", "for w3", "underlined"), element("mark", "against w3", "dotted")];
  said.append("Words that are ", pro, " spoke for ", element("b", "", label), ", ");
  said.append(contra, " ones against it; the stronger the colour, the more.");
  return said;
}

function reasons(text, { label, log_odds: to, baseline: from, gap, truncated, words }) {
  const strongest = element("dl", "telling", "");
  strongest.append(listed("For it", telling(words, 1)), listed("Against it", telling(words, -1)));
  const cut = truncated ? " The end of the text was not read." : "";
  const sum =
    `Scores are log-odds. They sum to ${signed(to - from + gap)}, from ${signed(from)} of a text without ` +
    `words to ${signed(to)} of this one (missing: ${signed(-gap)}).${cut} They say what this answer hangs on, ` +
    "not what is true.";
  return [legend(label), marked(text, words), strongest, element("p", "note", sum)];
}

/** A place on the page where one model answers. */
class Card {
  constructor(root) {
    this.root = root;
    this.request = null; // whose answer is awaited
    this.slot("ask-why").addEventListener("click", () => this.explain());
  }

  slot(name) {
    return this.root.querySelector(`[data-slot="${name}"]`);
  }

  clear() {
    for (const name of ["said", "fault", "bars", "reasons"]) this.slot(name).replaceChildren();
    for (const name of ["holds", "usage"]) this.slot(name).textContent = "";
    this.slot("why").hidden = true;
    this.slot("ask-why").setAttribute("aria-expanded", "false");
  }

  showFault(fault) {
    this.clear();
    showFault(this.slot("fault"), fault);
  }

  show(text, { model, results, usage: used }, milliseconds) {
    const [result] = results;
    const facts = factsOf(model);
    this.clear();
    this.slot("said").replaceChildren(...verdicts(result));
    this.slot("holds").textContent = holds(result, facts);
    this.slot("bars").replaceChildren(...result.scores.map((each) => bar(each)));
    const cut = result.truncated ? " The text is longer than the model reads: its end was left out." : "";
    const tokens = counted(used.tokens, "token", "tokens");
    this.slot("usage").textContent = `${tokens} read, answered in ${milliseconds} ms.${cut}`;
    this.slot("why").hidden = !facts.explains;
    this.asked = { text, model, label: result.label };
  }

  /** Have `work` done, of which the latest alone counts: gives what it gives, or null. */
  async busy(work) {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    this.root.setAttribute("aria-busy", "true");
    try {
      return await work(request.signal);
    } catch (error) {
      if (request.signal.aborted) return null;
      if (!(error instanceof Fault)) throw error;
      this.showFault(error);
      return null;
    } finally {
      if (this.request === request) this.root.setAttribute("aria-busy", "false");
    }
  }

  /** Classify a text; gives the result, or null where there is none. */
  ask(text, model) {
    return this.busy(async (signal) => {
      const values = { input: text, top_k: Number(known().bars), ...(model && { model }) };
      const began = performance.now();
      const answer = await (await sendJson("v1/classify", values, signal)).json();
      this.show(text, answer, Math.round(performance.now() - began));
      return answer.results[0];
    });
  }

  async explain() {
    const asked = this.asked;
    const { text, model, label } = asked;
    const place = this.slot("reasons");
    place.replaceChildren(element("p", "waiting", "Looking at each word …"));
    this.slot("ask-why").setAttribute("aria-expanded", "true");
    try {
      const values = { input: text, model, ...(label !== null && { label }) };
      const found = await (await sendJson("v1/explain", values)).json();
      if (this.asked === asked) place.replaceChildren(...reasons(text, found));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (this.asked !== asked) return;
      const fault = element("div", "fault", "");
      showFault(fault, error);
      place.replaceChildren(fault);
    }
  }
}
