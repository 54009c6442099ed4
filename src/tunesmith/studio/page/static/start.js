"use strict";

// The page begins: with a key where one is needed, else at once.

async function load() {
  // files and models first: jobs are told by their names
  await Promise.all([loadFiles(), loadModels()]);
  await Promise.all([loadJobs(), loadKeys()]);
  byId("studio").hidden = false;
}

async function enter() {
  // another key may belong to another project
  view?.close();
  for (const id of ["check", "job"]) byId(id).hidden = true;
  if (await trying(fault("key"), load)) byId("enter").classList.add("inside");
  else byId("studio").hidden = true;
}

comeFrom(byId("drop"), byId("choose-file"), byId("file"), takeFile);
showAddress();

if (key) {
  byId("enter").hidden = false;
  byId("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    enter();
  });
} else {
  byId("studio").hidden = false;
  trying(fault("data"), load);
}
