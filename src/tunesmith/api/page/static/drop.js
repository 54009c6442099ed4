"use strict";

// Files come by being dropped, or by a button and the browser's own choice.

/** Give each file that is dropped on `zone`, or chosen with `button`, to `take`. */
function comeFrom(zone, button, input, take) {
  const mark = (over) => zone.classList.toggle("over", over);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  zone.addEventListener("dragleave", () => mark(false));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    [...event.dataTransfer.files].forEach(take);
  });
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    [...input.files].forEach(take);
    input.value = "";
  });
}
