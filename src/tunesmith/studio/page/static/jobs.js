"use strict";

// Jobs: a form that makes one, and the list of those there are.

const LOOK_MILLISECONDS = 3000;
const HYPER = ["n_epochs", "batch_size", "learning_rate_multiplier", "beta"];
const isDpo = () => byId("method").value === "dpo";
let looking = null;

async function loadJobs() {
  studio.jobs = await all("v1/fine_tuning/jobs");
  fill(byId("job-list"), studio.jobs.map(jobThing), "No jobs yet. Start the first one above.");
  clearTimeout(looking);
  if (studio.jobs.every(({ status }) => ENDED.has(status))) return;
  looking = setTimeout(() => trying(fault("jobs"), loadJobs), LOOK_MILLISECONDS);
}

function jobThing(job) {
  const name = element("p", "name", "");
  name.append(state(job.status), ` ${jobName(job)}`);
  const file = studio.files.find(({ id }) => id === job.training_file);
  const left = job.estimated_finish && job.estimated_finish - Date.now() / SECOND;
  const about = facts(
    `from ${job.model}`,
    file ? file.filename : job.training_file,
    moment(job.created_at),
    left > 0 ? `about ${duration(left)} left` : null,
  );
  return thing(name, about, button("Open", `Open ${jobName(job)}`, () => openJob(job)));
}

/** Offer what there is: bases and models, and the files that may be learned from. */
function arrangeForm() {
  const files = studio.files.filter(({ purpose }) => purpose === "fine-tune").map(({ id, filename }) => [id, filename]);
  options(byId("training"), files.length ? files : [["", "no file yet"]]);
  options(byId("validation"), [["", "none"], ...files]);
  options(byId("base"), studio.models.filter(({ form }) => form === "writer").map(({ id }) => [id, id]));
}

function hyperparameters() {
  const fields = HYPER.filter((name) => name !== "beta" || isDpo());
  const given = fields.filter((name) => byId(name).value !== "");
  return Object.fromEntries(given.map((name) => [name, Number(byId(name).value)]));
}

function sayHyperparameters() {
  byId("beta-field").hidden = !isDpo();
  const given = Object.keys(hyperparameters()).length;
  byId("hyper-said").textContent = given ? `${given} given, the others chosen for you` : "all chosen for you";
}

function asked() {
  const type = byId("method").value;
  return {
    model: byId("base").value,
    training_file: byId("training").value,
    ...(byId("validation").value && { validation_file: byId("validation").value }),
    ...(byId("suffix").value.trim() && { suffix: byId("suffix").value.trim() }),
    method: { type, [type]: { hyperparameters: hyperparameters() } },
  };
}

const PLACES = { training_file: "training", validation_file: "validation", model: "base", suffix: "suffix" };

/** Make a job; a fault is told beside the form, and the field that it names has the focus. */
async function makeJob() {
  const place = fault("make");
  if (!byId("training").value) {
    showFault(place, { message: "There is no training file yet.", hint: "Drop one under Data first." });
    return;
  }
  await trying(place, async () => {
    try {
      const made = await (await sendJson("v1/fine_tuning/jobs", asked())).json();
      await loadJobs();
      openJob(made);
    } catch (error) {
      const field = PLACES[error.param] ?? error.param?.split(".").at(-1);
      byId(field)?.focus();
      throw error;
    }
  });
}

byId("make").addEventListener("submit", (event) => {
  event.preventDefault();
  makeJob();
});
byId("make").addEventListener("input", sayHyperparameters);
