"""The learning curve as a chart: macro-F1 by training rows, on a logarithmic scale, and what comes after."""

from __future__ import annotations

import math

from markupsafe import Markup

from tunesmith.evaluation.svg import Scale, axes, circle, element, figure, line, polyline, text, ticks
from tunesmith.evaluation.types import CurvePoint, Interval, LearningCurve
from tunesmith.evaluation.wording import score

__all__ = ["learning_chart"]

_SIZE = (430, 260)
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 416, 32, 208
_APART = 4
"""Pixels between the whiskers of the two methods, which stand at the same number of rows"""


def learning_chart(curve: LearningCurve) -> Markup:
    """Both methods' points with their 95 % intervals; dotted, the model's way to twice the rows."""
    points = curve.points
    most = 2 * points[-1].rows
    spans = [span for point in points for span in (point.interval, point.rival_interval)]
    beyond = _beyond(curve)
    spans += [beyond] if beyond else []
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    room = 0.06 * (high - low) or 0.05
    across = Scale(math.log2(points[0].rows), math.log2(most), _LEFT + 14, _RIGHT - 12)
    up = Scale(max(0.0, low - room), min(1.0, high + room), _BOTTOM, _TOP)
    frame = axes(Scale(0, 1, _LEFT, _RIGHT), up, [], ticks(up.low, up.high, 5))
    numbers = [
        text(across(math.log2(rows)), _BOTTOM + 17, f"{rows:,}", "tick", text_anchor="middle")
        for rows in (*(point.rows for point in points), most)
    ]
    unit = text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, "training rows", "tick", text_anchor="middle")
    drawn = [
        _series([(p, p.rival_macro_f1, p.rival_interval) for p in points], across, up, "train", -_APART),
        _series([(p, p.macro_f1, p.interval) for p in points], across, up, "validation", _APART),
    ]
    told = [f"{p.rows:,} rows: {score(p.macro_f1)}, TF-IDF {score(p.rival_macro_f1)}" for p in points]
    parts = (*_legend(), *drawn, *_further(curve, across, up, beyond))
    title, said = "Macro-F1 by training rows", f"{'; '.join(told)}."
    return figure("learning", title, said, _SIZE, frame, *numbers, unit, *parts)


def _beyond(curve: LearningCurve) -> Interval | None:
    """Where the interval of macro-F1 at twice the rows would lie, from the last point on."""
    if curve.gain is None:
        return None
    last = curve.points[-1].macro_f1
    return Interval(*(min(1.0, max(0.0, last + end)) for end in (curve.gain.low, curve.gain.high)))


def _series(
    points: list[tuple[CurvePoint, float, Interval]], across: Scale, up: Scale, class_: str, aside: float
) -> Markup:
    places = [(across(math.log2(point.rows)) + aside, up(value)) for point, value, _ in points]
    parts = [polyline(places, f"curve {class_}")]
    for (x, y), (point, value, span) in zip(places, points, strict=True):
        said = f"{point.rows:,} rows: {score(value)}, {score(span.low)} to {score(span.high)}"
        whisker = line(x, up(span.low), x, up(span.high), f"curve {class_}")
        parts.append(element("g", element("title", said), whisker, circle(x, y, 3.4, f"dot {class_}")))
    return element("g", *parts)


def _further(curve: LearningCurve, across: Scale, up: Scale, beyond: Interval | None) -> list[Markup]:
    if curve.gain is None or beyond is None:
        return []
    last = curve.points[-1]
    start = across(math.log2(last.rows)) + _APART, up(last.macro_f1)
    x, value = across(math.log2(2 * last.rows)), min(1.0, max(0.0, last.macro_f1 + curve.gain.value))
    return [
        line(*start, x, up(value), "diagonal"),
        line(x, up(beyond.low), x, up(beyond.high), "diagonal"),
        circle(x, up(value), 4, "best"),
    ]


def _legend() -> list[Markup]:
    names = (("this model", "validation"), ("TF-IDF + LR", "train"))
    legend, x = [], float(_LEFT)
    for name, class_ in names:
        legend += [line(x, 10, x + 18, 10, f"curve {class_}"), text(x + 24, 14, name, "word")]
        x += 46 + 6.2 * len(name)
    return legend
