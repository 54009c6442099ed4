"use strict";

// Files: they come with their progress shown, are listed, checked, and removed.

const fault = (place) => byId(`${place}-fault`);

async function loadFiles() {
  studio.files = await all("v1/files");
  fill(byId("files"), studio.files.map(fileThing), "No files yet. A training file has at least 10 lines.");
  arrangeForm();
}

function fileThing(file) {
  const about = facts(file.purpose, size(file.bytes), moment(file.created_at), element("code", "", file.id));
  const acts = [];
  if (file.purpose === "fine-tune") acts.push(button("Check", `Check ${file.filename}`, () => showCheck(file)));
  else acts.push(button("Download", `Download ${file.filename}`, () => saveFile(file, fault("data"))));
  acts.push(button("Delete", `Delete ${file.filename}`, () => removeFile(file), "second slim danger"));
  return thing(file.filename || "without a name", about, ...acts);
}

const saveFile = (file, place) =>
  trying(place, async () => save(await send(`v1/files/${file.id}/content`), file.filename));

async function removeFile(file) {
  if (!(await sure(`Delete ${file.filename}? It cannot be brought back.`, "Delete the file"))) return;
  await trying(fault("data"), async () => {
    await send(`v1/files/${file.id}`, { method: "DELETE" });
    byId("check").hidden = true;
    await loadFiles();
  });
}

/** Send a file as a form; `onProgress` hears of the share that is sent. Fetch could not tell it. */
function sendFile(file, onProgress) {
  const form = new FormData();
  form.append("purpose", "fine-tune");
  form.append("file", file);
  const request = new XMLHttpRequest();
  request.open("POST", "v1/files");
  for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
  request.responseType = "json";
  request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
  const answer = new Promise((give, refuse) => {
    request.addEventListener("load", () => {
      if (request.status === 200) give(request.response);
      else refuse(faultOf(request.status, request.response ?? {}, request.getResponseHeader("x-request-id")));
    });
    request.addEventListener("error", () => refuse(new Fault("The file did not arrive.", "Is the server still running?")));
    request.addEventListener("abort", () => give(null));
  });
  request.send(form);
  return { answer, stop: () => request.abort() };
}

async function takeFile(file) {
  const row = element("li", "coming", "");
  const progress = element("progress", "", "");
  const place = element("div", "fault", "");
  progress.setAttribute("aria-label", `How much of ${file.name} has arrived`);
  const sending = sendFile(file, (share) => (progress.value = share));
  const stop = button("Stop", `Stop ${file.name}`, () => (sending.stop(), row.remove()));
  row.append(element("p", "name", file.name), facts(size(file.size)), progress, place, stop);
  byId("coming").append(row);
  const arrived = await trying(place, async () => {
    const kept = await sending.answer;
    if (!kept) return;
    row.remove();
    await loadFiles();
    byId("training").value = kept.id;
    await showCheck(kept);
  });
  if (arrived) return;
  progress.hidden = true;
  stop.textContent = "Close";
}
