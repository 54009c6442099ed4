"use strict";

// A whole file: sent as a batch, watched while it is answered, and downloaded.

const POLL_MILLISECONDS = 500;
const HEAD_BYTES = 65536;
const COLUMN_FAULTS = new Set(["no-column", "ambiguous-column"]);
const place = byId("table"); // is left out where the server takes no batches

function heading(line) {
  // the first line of a CSV file, with cells in quotes
  const cells = line.match(/("([^"]|"")*"|[^,;\t"]*)(?=[,;\t]|$)/g) ?? [];
  return cells.map((cell) => cell.replace(/^"|"$/g, "").replaceAll('""', '"')).filter(Boolean);
}

/** The names of the columns of a file, as far as its first lines tell. */
async function columnsOf(file) {
  const head = (await file.slice(0, HEAD_BYTES).text()).replace(/^\uFEFF/, "");
  const line = head.split(/\r?\n/, 1)[0];
  if (!isLines(file)) return heading(line);
  try {
    return Object.keys(JSON.parse(line));
  } catch {
    return [];
  }
}

const isLines = (file) => /\.(jsonl|ndjson)$/i.test(file.name);

function timeLeft(seconds) {
  if (seconds < 60) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return `about ${counted(Math.round(seconds / 60), "minute", "minutes")} left`;
}

function howFar({ status, rows_done: done, rows_total: total, rows_per_second: speed }) {
  if (status === "waiting") return "Others come first.";
  if (total === null) return "Counting rows …";
  const parts = [`${done.toLocaleString("en")} of ${counted(total, "row", "rows")}`];
  if (speed) parts.push(`${speed.toLocaleString("en", { maximumFractionDigits: 0 })} a second`);
  if (speed && status === "running") parts.push(timeLeft((total - done) / speed));
  return parts.join(" · ");
}

/** One file on its way through the server. */
class Table {
  constructor(file) {
    this.file = file;
    this.id = null;
    this.gone = false;
  }

  async start(column) {
    this.reset();
    const asked = new URLSearchParams();
    if (known().model) asked.set("model", known().model);
    if (column) asked.set("text_column", column);
    const type = isLines(this.file) ? "application/x-ndjson" : "text/csv";
    await this.trying(async () => {
      await this.drop(); // the one whose column was wrong
      const sent = await send(`v1/batches?${asked}`, { method: "POST", type, body: this.file });
      this.id = (await sent.json()).id;
      if (this.gone) return this.drop(); // cancelled while it was sent
      await this.watch();
    });
  }

  /** Let the server forget the batch; one that is gone there already is as good. */
  async drop() {
    const id = this.id;
    this.id = null;
    if (id) await send(`v1/batches/${id}`, { method: "DELETE" }).catch(() => {});
  }

  reset() {
    byId("choose").hidden = true;
    byId("batch").hidden = false;
    byId("file-name").textContent = this.file.name;
    byId("how-far").textContent = "Sending the file …";
    byId("cancel").textContent = "Cancel";
    byId("progress").removeAttribute("value");
    for (const id of ["batch-fault", "problems"]) byId(id).replaceChildren();
    for (const id of ["download", "columns"]) byId(id).hidden = true;
    byId("progress").hidden = false;
  }

  async trying(work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (!this.gone) this.failed(error);
    }
  }

  failed(fault) {
    byId("progress").hidden = true;
    byId("how-far").textContent = "";
    byId("cancel").textContent = "Another file";
    showFault(byId("batch-fault"), fault);
  }

  async watch() {
    while (!this.gone) {
      const facts = await (await send(`v1/batches/${this.id}`)).json();
      if (this.gone) return;
      this.show(facts);
      if (facts.expires_at) return this.ended(facts);
      await new Promise((go) => setTimeout(go, POLL_MILLISECONDS));
    }
  }

  show(facts) {
    const bar = byId("progress");
    byId("how-far").textContent = howFar(facts);
    if (facts.rows_total !== null) {
      bar.max = Math.max(1, facts.rows_total);
      bar.value = facts.rows_done;
    }
  }

  async ended({ status, problems }) {
    if (status !== "done") return this.unreadable(status, problems);
    byId("progress").value = byId("progress").max;
    byId("download").hidden = false;
    byId("cancel").textContent = "Another file";
    byId("problems").replaceChildren(
      ...problems.map(({ what, count }) => element("li", "", `${what} (${counted(count, "row", "rows")})`)),
    );
  }

  async unreadable(status, problems) {
    const [worst] = problems;
    const message = worst?.what ?? `The batch is ${status}.`;
    this.failed(new Fault(message, worst?.code));
    if (!COLUMN_FAULTS.has(worst?.code)) return;
    const names = await columnsOf(this.file);
    byId("column").replaceChildren(...names.map((name) => new Option(name, name)));
    byId("columns").hidden = !names.length;
  }

  /** End the work and forget it, here and at the server. */
  async forget() {
    this.gone = true;
    byId("batch").hidden = true;
    byId("choose").hidden = false;
    byId("choose-file").focus();
    await this.drop();
  }

  download() {
    return this.trying(async () => {
      const result = await send(`v1/batches/${this.id}/result`);
      await save(result, this.file.name.replace(/(\.\w+)?$/, "-labels$1"));
    });
  }
}

function takeFiles() {
  let table = null;
  const take = (file) => {
    table = new Table(file);
    table.start();
  };
  comeFrom(byId("drop"), byId("choose-file"), byId("file"), (file) => {
    // what is dropped beside a file under way would end it
    if (byId("batch").hidden) take(file);
  });
  byId("columns").addEventListener("submit", (event) => {
    event.preventDefault();
    table.start(byId("column").value);
  });
  byId("cancel").addEventListener("click", () => table.forget());
  byId("download").addEventListener("click", () => table.download());
  place.hidden = false;
}

if (place) takeFiles();
