"use strict";

// Which keys see this project. None is made here: see the page's own words.

async function loadKeys() {
  const { project, data } = await json("v1/keys");
  byId("key-list").hidden = !data.length;
  if (key) byId("whose").textContent = `Your key belongs to the project ${project}, and sees its files, jobs and models only.`;
  fill(byId("key-list"), data.map(keyThing), "");
}

function keyThing({ name, created_at: made, requests_per_minute: limit, yours }) {
  const told = element("p", "name", name);
  if (yours) told.append(" ", element("span", "state", "yours"));
  const most = limit ? `${counted(limit, "request", "requests")} a minute` : "the server’s limit";
  return thing(told, facts(made ? moment(made) : "from the server’s environment", most));
}
