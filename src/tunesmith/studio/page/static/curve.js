"use strict";

// The losses of a job as a curve, drawn from what its events tell.

const [WIDTH, HEIGHT] = [720, 260];
const EDGE = { left: 52, right: 14, top: 14, bottom: 34 };
const MOST_POINTS = 400;
const SVG = "http://www.w3.org/2000/svg";

function drawn(tag, attributes, content = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = content;
  return made;
}

/** About `count` round numbers from `low` to `high`. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(at);
  return found;
}

/** No more points than can be told apart; the last one stays. */
function thinned(points) {
  const every = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, at) => at % every === 0 || at === points.length - 1);
}

/** Each line: a name, a class, and points [step, loss]. */
function curve(lines, totalSteps) {
  const points = lines.flatMap((line) => line.points);
  const high = Math.max(...points.map(([, loss]) => loss)) * 1.05 || 1;
  const last = Math.max(totalSteps ?? 0, ...points.map(([step]) => step), 1);
  const x = (step) => EDGE.left + (step / last) * (WIDTH - EDGE.left - EDGE.right);
  const y = (loss) => HEIGHT - EDGE.bottom - (loss / high) * (HEIGHT - EDGE.top - EDGE.bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "curve" });
  svg.setAttribute("aria-label", saidOf(lines));
  for (const loss of ticks(0, high, 4)) {
    svg.append(drawn("line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(loss), y2: y(loss), class: "rule" }));
    svg.append(drawn("text", { x: EDGE.left - 8, y: y(loss) + 4, "text-anchor": "end" }, figure(loss)));
  }
  for (const step of ticks(0, last, 6).filter(Number.isInteger)) {
    svg.append(drawn("text", { x: x(step), y: HEIGHT - EDGE.bottom + 20, "text-anchor": "middle" }, whole(step)));
  }
  for (const { kind, points: all } of lines) {
    const places = thinned(all).map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`);
    svg.append(drawn("polyline", { points: places.join(" "), class: `line ${kind}` }));
    const few = kind === "valid" || all.length === 1 ? thinned(all) : all.slice(-1);
    for (const [step, loss] of few) svg.append(drawn("circle", { cx: x(step), cy: y(loss), r: 3.5, class: `dot ${kind}` }));
  }
  return svg;
}

function saidOf(lines) {
  const parts = lines.map(({ name, points }) => {
    const [[first, from], [last, to]] = [points[0], points.at(-1)];
    return `${name}: ${figure(from)} at step ${first}, ${figure(to)} at step ${last}`;
  });
  return `Loss by step. ${parts.join("; ")}.`;
}

/** The curve of the metrics of a job with its legend; null where there is none yet. */
function lossCurve(metrics, totalSteps) {
  const kinds = [
    ["Training loss", "train", "train_loss"],
    ["Validation loss", "valid", "valid_loss"],
  ];
  const lines = kinds
    .map(([name, kind, field]) => ({
      name,
      kind,
      points: metrics.filter((row) => Number.isFinite(row[field])).map((row) => [row.step, row[field]]),
    }))
    .filter(({ points }) => points.length);
  if (!lines.length) return null;
  const made = element("figure", "losses", "");
  const legend = element("figcaption", "", "Loss by step");
  legend.append(...lines.map(({ name, kind }) => element("span", `mark ${kind}`, name)));
  made.append(legend, curve(lines, totalSteps));
  return made;
}
