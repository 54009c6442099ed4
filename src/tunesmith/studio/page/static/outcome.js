"use strict";

// What came of a job: its files, its checkpoints, and how well its classifier answers.

const CLASSES_FILE = "classification_results.json";
const MOST_CONFUSED = 20;
const three = (value) => value.toFixed(3);
const between = ({ low, high }) => `${three(low)} to ${three(high)}`;

function score(name, field, { metrics, intervals }) {
  if (metrics[field] === undefined) return null;
  return measured(name, three(metrics[field]), intervals[field] ? between(intervals[field]) : "");
}

function confusion({ labels, confusion: counts }) {
  if (labels.length > MOST_CONFUSED) {
    return element("p", "note", `The confusions of ${labels.length} labels stand in the file.`);
  }
  const rows = counts.map((row, at) => [labels[at], ...row.map(whole)]);
  const table = grid("Confusions: each row is a label, each column an answer", ["is \\ answered", ...labels], rows);
  for (const [at, row] of [...table.querySelectorAll("tbody tr")].entries()) {
    const all = counts[at].reduce((sum, count) => sum + count, 0) || 1;
    for (const [to, cell] of [...row.querySelectorAll("td")].entries()) {
      const steps = Math.ceil((3 * counts[at][to]) / all);
      if (steps) cell.classList.add(at === to ? "right" : "wrong", `w${steps}`);
    }
  }
  return table;
}

function rivals(found) {
  const row = (name, each) => [
    name,
    three(each.metrics.macro_f1),
    each.intervals.macro_f1 ? between(each.intervals.macro_f1) : "–",
    each.metrics.accuracy === undefined ? "–" : three(each.metrics.accuracy),
  ];
  const rows = [row("this model", found), ...found.rivals.map((each) => row(each.name, each))];
  const table = grid("Scores of the model and its rivals", ["Who", "Macro-F1", "95 % interval", "Accuracy"], rows);
  table.querySelector("tbody tr").className = "ours";
  return table;
}

function classes(found) {
  return [
    element("p", "teaches", `${found.verdict.headline}.`),
    element("p", "note", found.verdict.sentences.join(" ")),
    figures(
      score("Macro-F1", "macro_f1", found),
      score("Accuracy", "accuracy", found),
      measured("Judged on", whole(found.rows), "rows of the validation file"),
    ),
    headed("Against its rivals, on the same rows", rivals(found)),
    headed("Confusions", confusion(found)),
  ];
}

function resultFile(file, place) {
  const get = button("Download", `Download ${file.filename}`, () => saveFile(file, place));
  return thing(file.filename, facts(size(file.bytes), element("code", "", file.id)), get);
}

/** The result files of a job; those that were deleted meanwhile are left out. */
async function resultParts(job, place) {
  const files = studio.files.filter(({ id }) => job.result_files.includes(id));
  const parts = [];
  const judged = files.find(({ filename }) => filename === CLASSES_FILE);
  if (judged) parts.push(...classes(await json(`v1/files/${judged.id}/content`)));
  if (files.length) parts.push(headed("Result files", list("ul", files.map((file) => resultFile(file, place)))));
  return parts;
}

async function checkpointParts(job) {
  const found = await all(`v1/fine_tuning/jobs/${job.id}/checkpoints`);
  const rows = found.map(({ step_number: step, fine_tuned_model_checkpoint: model, metrics }) => {
    const told = ["train_loss", "valid_loss"].filter((name) => metrics[name] !== undefined);
    const losses = told.map((name) => `${words(name)} ${figure(metrics[name])}`);
    return thing(model, facts(`step ${whole(step)}`, ...losses), button("Try", `Try ${model}`, () => tryModel(model)));
  });
  return rows.length ? [headed("Checkpoints", list("ul", rows))] : [];
}
