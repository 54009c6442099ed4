"use strict";

// Parts of the page that change with the model that is chosen, or come once a key is there; and reports.

let openedWith = null; // the key with which the parts on the page came

/** Take the parts of the page anew from the server; text, key and answers stay. */
async function openParts(model) {
  const query = model ? `?model=${encodeURIComponent(model)}` : "";
  const page = await (await send(`${key ? "opened" : "./"}${query}`)).text();
  const found = new DOMParser().parseFromString(page, "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = found.getElementById(part.id);
    if (fresh) part.replaceWith(document.adoptNode(fresh));
  }
  showAddress();
  arrange();
}

/** Once a key has answered, what it may see is shown. */
async function openWithKey() {
  if (!key || openedWith === key.value) return;
  openedWith = key.value;
  await openParts(known().name).catch(() => {
    openedWith = null;
  });
}

async function showReport(model) {
  const [holder, frame] = [byId("report"), byId("report-page")];
  const page = await (await send(`report?model=${encodeURIComponent(model)}`)).text();
  byId("h-report").textContent = `Report of ${model}`;
  frame.srcdoc = page;
  holder.hidden = false;
  holder.scrollIntoView();
  byId("close-report").focus();
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a");
  if (event.target.id === "close-report") byId("report").hidden = true;
  // without a key the links lead where they say
  if (!link || !key || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { report, choose } = link.dataset;
  if (report === undefined && choose === undefined) return;
  event.preventDefault();
  try {
    await (report === undefined ? openParts(choose) : showReport(report));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    first.showFault(error);
  }
});

key?.addEventListener("change", () => openWithKey());

showAddress();
panel.hidden = false;
