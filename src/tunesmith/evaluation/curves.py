"""Charts over values: how the model learned, and whether its probabilities hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from tunesmith.evaluation.svg import Scale, axes, circle, element, figure, line, polyline, rect, text, ticks
from tunesmith.evaluation.types import Bin, Calibration
from tunesmith.evaluation.wording import MACRO_F1, Score, score

__all__ = ["loss_curve", "reliability", "score_curve"]

Curves = Sequence[Mapping[str, int | float | None]]
Points = list[tuple[float, float]]

_SIZE = (310, 230)
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 302, 30, 190
_MOST_POINTS = 150
_SQUARE = (310, 292)
_SQUARE_BOTTOM, _STRIP_BOTTOM, _STRIP_HEIGHT = 212, 272, 26


@dataclass(frozen=True, slots=True)
class _Series:
    name: str
    points: Points
    class_: str


def loss_curve(curves: Curves) -> Markup | None:
    """Training and validation loss; None where neither was measured."""
    series = [
        _Series("training", _points(curves, "train_loss"), "train"),
        _Series("validation", _points(curves, "validation_loss"), "validation"),
    ]
    shown = [one for one in series if one.points]
    if not shown:
        return None
    highest = max(y for one in shown for _, y in one.points)
    said = "; ".join(
        f"{one.name} from {score(one.points[0][1])} to {score(one.points[-1][1])}" for one in shown
    )
    return _line_chart("loss", "Loss while training", f"{said}.", shown, (0, highest * 1.06 or 1), curves)


def score_curve(curves: Curves, by: Score = MACRO_F1) -> Markup | None:
    """A score on the validation rows with its best point marked; None where it was not measured."""
    points = _points(curves, by.key)
    if not points:
        return None
    best = max(points, key=lambda point: point[1])
    lowest = min(y for _, y in points)
    low = max(0.0, lowest - 0.25 * (1 - lowest) - 0.01)
    said = f"It ends at {score(points[-1][1])}; the best is {score(best[1])}."
    series = [_Series(f"validation {by.name}, best {score(best[1])}", points, "validation")]
    return _line_chart(by.key, f"{by.title} while training", said, series, (low, 1), curves, best)


def _points(curves: Curves, name: str) -> Points:
    across = _across(curves)
    found = [(point.get(across), point.get(name)) for point in curves]
    points = sorted((float(x), float(y)) for x, y in found if x is not None and y is not None)
    return _thinned(points)


def _across(curves: Curves) -> Literal["epoch", "step"]:
    # several measurements in one epoch would stand above each other
    epochs = [point.get("epoch") for point in curves]
    return "epoch" if None not in epochs and len(set(epochs)) == len(epochs) else "step"


def _thinned(points: Points) -> Points:
    """At most _MOST_POINTS points, each the mean of its neighbours."""
    size = -(-len(points) // _MOST_POINTS) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups
    ]


def _line_chart(
    name: str,
    title: str,
    description: str,
    series: Sequence[_Series],
    heights: tuple[float, float],
    curves: Curves,
    mark: tuple[float, float] | None = None,
) -> Markup:
    xs = [x for one in series for x, _ in one.points]
    across = Scale(min(0, *xs), max(xs) or 1, _LEFT, _RIGHT)
    up = Scale(*heights, _BOTTOM, _TOP)
    frame = axes(across, up, ticks(across.low, across.high), ticks(*heights, most=4))
    unit = text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, _across(curves), "tick", text_anchor="middle")
    drawn = [_drawn(one, across, up) for one in series]
    dot = [circle(across(mark[0]), up(mark[1]), 4.5, "best")] if mark else []
    return figure(name, title, description, _SIZE, frame, unit, *_legend(series), *drawn, *dot)


def _drawn(series: _Series, across: Scale, up: Scale) -> Markup:
    places = [(across(x), up(y)) for x, y in series.points]
    dots = [circle(x, y, 2.4, f"dot {series.class_}") for x, y in places if len(places) <= 30]
    return element("g", polyline(places, f"curve {series.class_}"), *dots)


def _legend(series: Sequence[_Series]) -> list[Markup]:
    legend, x = [], float(_LEFT)
    for one in series:
        legend += [line(x, 10, x + 18, 10, f"curve {one.class_}"), text(x + 24, 14, one.name, "word")]
        x += 46 + 6.2 * len(one.name)
    return legend


def reliability(calibration: Calibration) -> Markup:
    """Accuracy by how sure the model was, against the diagonal of honest probabilities; rows below."""
    across, up = Scale(0, 1, _LEFT, _RIGHT), Scale(0, 1, _SQUARE_BOTTOM, 12)
    marks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    filled = [found for found in calibration.bins if found.rows]
    parts = [
        axes(across, up, [], marks),
        line(across(0), up(0), across(1), up(1), "diagonal"),
        *(_bar(found, across, up) for found in filled),
        *_strip(filled, across),
        *(text(across(x), _STRIP_BOTTOM + 15, f"{x:g}", "tick", text_anchor="middle") for x in marks),
    ]
    said = " ".join(
        f"From {found.low:g} to {found.high:g}: {found.rows} rows, {score(found.accuracy)} right."
        for found in filled
    )
    return figure("reliability", "Accuracy by probability", said, _SQUARE, *parts)


def _bar(found: Bin, across: Scale, up: Scale) -> Markup:
    left, right = across(found.low) + 1.5, across(found.high) - 1.5
    said = f"{found.rows:,} rows: sure by {score(found.confidence)}, right in {score(found.accuracy)}"
    return element(
        "g",
        element("title", said),
        rect(left, up(found.accuracy), right - left, up.start - up(found.accuracy), "bar"),
        *_whisker(found, across(found.confidence), up),
        circle(across(found.confidence), up(found.accuracy), 3, "best"),
    )


def _whisker(found: Bin, x: float, up: Scale) -> list[Markup]:
    if found.interval is None:
        return []
    low, high = up(found.interval.low), up(found.interval.high)
    return [line(x, low, x, high, "halo"), line(x, low, x, high, "whisker")]


def _strip(filled: Sequence[Bin], across: Scale) -> list[Markup]:
    most = max(found.rows for found in filled)
    strip = [text(across.start, _STRIP_BOTTOM - _STRIP_HEIGHT - 6, "rows", "tick")]
    for found in filled:
        height = max(1.0, _STRIP_HEIGHT * found.rows / most)
        left, right = across(found.low) + 1.5, across(found.high) - 1.5
        strip.append(rect(left, _STRIP_BOTTOM - height, right - left, height, "quiet"))
    return strip
