"use strict";

// Models: the bases, and those that jobs made.

const FORMS = { writer: "writes answers", classifier: "gives labels" };
const isBase = ({ created }) => created === 0;

async function loadModels() {
  studio.models = (await json("v1/models")).data;
  fill(byId("model-list"), studio.models.map(modelThing), "There are no models.");
  arrangeForm();
  arrangeTalk();
}

function modelThing(model) {
  const about = isBase(model)
    ? facts("base", FORMS[model.form])
    : facts(FORMS[model.form], `from ${model.base}`, moment(model.created));
  const acts = [button("Try", `Try ${model.id}`, () => tryModel(model.id))];
  if (!isBase(model)) acts.push(button("Delete", `Delete ${model.id}`, () => removeModel(model), "second slim danger"));
  return thing(model.id, about, ...acts);
}

async function removeModel(model) {
  if (!(await sure(`Delete ${model.id}? It cannot be brought back.`, "Delete the model"))) return;
  await trying(fault("models"), async () => {
    await send(`v1/models/${encodeURIComponent(model.id)}`, { method: "DELETE" });
    await loadModels();
  });
}
