"use strict";

// One job, live: its state, losses and events as they come, and what can be done with it.

const AGAIN_MILLISECONDS = 2000;
const MOST_EVENTS = 500;
const PASSING = new Set(["busy", "draining", "storage-fault", "rate-limited"]);
const ACTS = [
  ["pause", "Pause", new Set(["queued", "running"])],
  ["resume", "Resume", new Set(["paused"])],
  ["cancel", "Cancel", new Set(["validating_files", "queued", "running", "paused"])],
];
const jobName = (job) => job.fine_tuned_model ?? job.id;
const wait = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

/** What a job is doing, shown until another is opened or it is closed. */
class JobView {
  constructor(job) {
    this.job = job;
    this.metrics = [];
    this.lastEvent = null;
    this.request = new AbortController();
    this.place = element("div", "fault", "");
    this.place.setAttribute("role", "alert");
    this.parts = Object.fromEntries(
      ["now", "acts", "numbers", "losses", "outcome"].map((name) => [name, element("div", name, "")]),
    );
    this.parts.now.setAttribute("role", "status");
    this.log = element("ol", "plain log", "");
    this.log.tabIndex = 0;
    this.log.setAttribute("aria-label", "Events, the newest first");
  }

  get shown() {
    return this.log.isConnected && !byId("job").hidden && !this.request.signal.aborted;
  }

  open() {
    const { now, acts, numbers, losses, outcome } = this.parts;
    const parts = [now, acts, this.place, numbers, losses, outcome, headed("Events", this.log)];
    const heading = opened(byId("job"), "h-job", this.job.id, ...parts);
    this.show(this.job);
    heading.focus({ preventScroll: true });
    byId("job").scrollIntoView({ block: "start" });
    return Promise.all([this.follow(), this.watch()]);
  }

  close() {
    this.request.abort();
  }

  show(job) {
    this.job = job;
    const { now, acts } = this.parts;
    // what is the same is not said again
    const about = `from ${job.model}`;
    if (now.dataset.status !== job.status) {
      now.dataset.status = job.status;
      now.replaceChildren(state(job.status), element("span", "meta", about));
      acts.replaceChildren(...this.buttons());
    }
    if (job.error) showFault(this.place, { message: job.error.message, hint: job.error.code });
    this.count();
  }

  buttons() {
    const fit = ACTS.filter(([, , states]) => states.has(this.job.status));
    return fit.map(([act, said]) =>
      button(said, `${said} the job`, () => this.ask(act), act === "cancel" ? "second slim danger" : "second slim"),
    );
  }

  async ask(act) {
    if (act === "cancel" && !(await sure("Cancel the job? What it has learned is lost.", "Cancel the job"))) return;
    await trying(this.place, async () => {
      const asked = await send(`v1/fine_tuning/jobs/${this.job.id}/${act}`, { method: "POST" });
      this.show(await asked.json());
      await loadJobs();
    });
  }

  /** The step, the time left, and the losses. */
  count() {
    const last = this.metrics.at(-1);
    const valid = this.metrics.findLast((row) => row.valid_loss !== undefined);
    const left = this.job.estimated_finish && this.job.estimated_finish - Date.now() / SECOND;
    this.parts.numbers.replaceChildren(
      figures(
        last && measured("Step", whole(last.step), last.total_steps ? `of ${whole(last.total_steps)}` : ""),
        left > 0 && !ENDED.has(this.job.status) && measured("Time left", duration(left), "at this pace"),
        last && measured("Training loss", figure(last.train_loss)),
        valid && measured("Validation loss", figure(valid.valid_loss), `at step ${whole(valid.step)}`),
        this.job.trained_tokens && measured("Learned from", whole(this.job.trained_tokens), "tokens, over all epochs"),
      ),
    );
  }

  draw() {
    if (this.drawing) return;
    // many events may come at once
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      const made = lossCurve(this.metrics, this.metrics.at(-1)?.total_steps);
      this.parts.losses.replaceChildren(...(made ? [made] : []));
      this.count();
    });
  }

  add({ id, data: event }) {
    this.lastEvent = id;
    const row = element("li", event.level, "");
    row.append(moment(event.created_at), element("span", "", event.message));
    this.log.prepend(row);
    if (this.log.childElementCount > MOST_EVENTS) this.log.lastElementChild.remove();
    if (event.type !== "metrics" || !Number.isFinite(event.data?.train_loss)) return;
    // a job that went on from a checkpoint tells some steps again
    this.metrics = this.metrics.filter(({ step }) => step < event.data.step);
    this.metrics.push(event.data);
    this.draw();
  }

  /** Hear all events, from the first; where the connection breaks, go on behind the last. */
  async follow() {
    while (!this.request.signal.aborted) {
      try {
        await this.hear();
        return await this.ended();
      } catch (error) {
        if (this.request.signal.aborted) return;
        if (!(error instanceof Fault)) throw error;
        if (error.code && !PASSING.has(error.code)) return showFault(this.place, error);
      }
      await wait(AGAIN_MILLISECONDS);
      if (!this.shown) this.close();
    }
  }

  async hear() {
    const more = this.lastEvent ? { "Last-Event-ID": this.lastEvent } : {};
    const path = `v1/fine_tuning/jobs/${this.job.id}/events?stream=true`;
    const answer = await send(path, { signal: this.request.signal, more });
    for await (const event of told(answer)) this.add(event);
  }

  /** The state now and then, as long as the job goes on and is shown. */
  async watch() {
    while (!ENDED.has(this.job.status)) {
      await wait(AGAIN_MILLISECONDS);
      if (!this.shown) return this.close();
      const now = await json(`v1/fine_tuning/jobs/${this.job.id}`).catch(() => null);
      if (now && this.shown) this.show(now);
    }
  }

  async ended() {
    await trying(element("div", "", ""), async () => {
      this.show(await json(`v1/fine_tuning/jobs/${this.job.id}`));
      await Promise.all([loadJobs(), loadFiles(), loadModels()]);
    });
    const made = this.job.fine_tuned_model;
    const parts = [];
    if (made) parts.push(element("p", "made", made), button(`Try it`, `Try ${made}`, () => tryModel(made), "slim"));
    await trying(this.place, async () => {
      parts.push(...(await resultParts(this.job, this.place)), ...(await checkpointParts(this.job)));
    });
    this.parts.outcome.replaceChildren(...parts);
    if (this.job.error) showFault(this.place, { message: this.job.error.message, hint: this.job.error.code });
  }
}

let view = null;

function openJob(job) {
  view?.close();
  view = new JobView(job);
  return view.open();
}
