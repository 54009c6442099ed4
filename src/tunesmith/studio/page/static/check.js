"use strict";

// What a training file is, as the server's check finds it, before a job is made of it.

const TEACHES = {
  labels: (found) => `Teaches to choose one of ${counted(found.labels.length, "label", "labels")}`,
  answers: () => "Teaches to answer",
  preferences: () => "Teaches which of two answers is better",
};
const FEWEST_EXAMPLES = 10;
const MOST_LABELS_SHOWN = 12;

function verdict(found) {
  if (found.faults) {
    const lines = counted(found.bad_lines, "line", "lines");
    return ["fault", `A job would refuse it: ${lines} cannot be learned from.`];
  }
  if (found.examples < FEWEST_EXAMPLES) {
    return ["fault", `A job needs ${FEWEST_EXAMPLES} examples to learn from; as a validation file it will do.`];
  }
  return ["good", "Ready: every line that was read is an example."];
}

const lengths = (name, found) =>
  found &&
  measured(
    `${name} of an example`,
    whole(found.median),
    `in the middle; at most ${whole(found.longest)}, on line ${whole(found.longest_line)}` +
      (name === "Tokens" ? ` (of the first ${whole(found.counted)})` : ""),
  );

function labelBars({ labels, examples }) {
  const most = labels[0].examples;
  const shown = labels.slice(0, MOST_LABELS_SHOWN).map((each) =>
    bar({ label: each.label, score: each.examples / most, said: whole(each.examples) }),
  );
  const bars = list("ol", shown, "Examples of each label");
  bars.className = "bars counts";
  const rest = labels.length - shown.length;
  const more = rest > 0 ? [element("p", "note", `and ${rest} more labels; ${whole(examples)} examples in all.`)] : [];
  return headed("Labels", bars, ...more);
}

function faultLines({ first_faults: faults, faults: count }) {
  const rows = faults.map(({ line, message, fix, code }) => {
    const row = element("li", "", "");
    row.append(element("b", "", `Line ${whole(line)}`), ` ${message} `, element("code", "", code));
    row.append(element("span", "fix", fix));
    return row;
  });
  const more = count > rows.length ? [element("p", "note", `and ${whole(count - rows.length)} more.`)] : [];
  const told = list("ol", rows, "Faults by line");
  told.classList.add("lines");
  return headed("What is wrong", told, ...more);
}

function checkParts(found) {
  const [kind, said] = verdict(found);
  const teaches = found.teaches ? TEACHES[found.teaches](found) : "No line is an example";
  const cut = found.whole ? [] : [element("p", "note", "The file is large: only its first part was read.")];
  return [
    element("p", "teaches", teaches),
    element("p", `verdict-line ${kind}`, said),
    figures(
      measured("Examples", whole(found.examples), found.bad_lines ? `and ${whole(found.bad_lines)} bad lines` : ""),
      lengths("Tokens", found.tokens),
      lengths("Characters", found.characters),
    ),
    ...(found.labels.length ? [labelBars(found)] : []),
    ...(found.faults ? [faultLines(found)] : []),
    ...cut,
  ];
}

/** Show what a file is. */
async function showCheck(file) {
  const card = byId("check");
  const heading = opened(card, "h-check", file.filename, element("p", "waiting", "Reading the file …"));
  heading.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
  const place = element("div", "fault", "");
  const well = await trying(place, async () => {
    const found = await json(`v1/files/${file.id}/check`);
    // another may have been opened meanwhile
    if (heading.isConnected) opened(card, "h-check", file.filename, ...checkParts(found)).focus({ preventScroll: true });
  });
  if (!well && heading.isConnected) opened(card, "h-check", file.filename, place);
}
