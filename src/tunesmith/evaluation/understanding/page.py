"""What there is to understand -> what the page's template needs: a curve, bars, and marked texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunesmith.evaluation.svg import Scale, axes, circle, element, figure, line, polyline, text, ticks
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.understanding.types import Explained, Selection
from tunesmith.evaluation.understanding.wording import (
    accuracy_name,
    confidence,
    group_title,
    percent,
    strength,
    worse_slices,
)
from tunesmith.evaluation.wording import plain, signed

__all__ = ["coverage_curve", "marked_text", "understanding_values"]

_SIZE = (310, 230)
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 302, 12, 190
_TEXT_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True)
class _Read:
    """An explained mistake as the page shows it."""

    found: Explained
    marked: Markup
    rest: str


def understanding_values(report: Report) -> dict[str, Any]:
    """What the template needs; `told` is None where the report is from before there was any of it."""
    told = report.understanding
    if told is None:
        return {"told": None}
    return {
        "told": told,
        "coverage_curve": coverage_curve(told.selection, accuracy_name(report.kind)),
        "right": accuracy_name(report.kind),
        "worse": worse_slices(told),
        "read": [_Read(found, marked_text(found), _rest(found)) for found in told.explained],
        "percent": percent,
        "confidence": confidence,
        "group_title": group_title,
    }


def coverage_curve(selection: Selection, name: str) -> Markup:
    """Accuracy against coverage, with the goals that are reached marked."""
    points = [(point.coverage, point.accuracy) for point in selection.points]
    lowest = min(accuracy for _, accuracy in points)
    low = max(0.0, lowest - 0.25 * (1 - lowest) - 0.02)
    across, up = Scale(0, 1, _LEFT, _RIGHT), Scale(low, 1, _BOTTOM, _TOP)
    whole = points[-1][1]
    said = f"Of all rows {percent(whole)} are right. " + " ".join(
        f"Of the surest {percent(coverage)}: {percent(accuracy)}."
        for coverage, accuracy in points[:: max(1, len(points) // 5)]
    )
    goals = [
        circle(across(goal.coverage), up(goal.accuracy.value), 4.5, "best")
        for goal in selection.goals
        if goal.coverage is not None and goal.accuracy is not None and goal.accuracy.value >= low
    ]
    return figure(
        "coverage",
        f"{name[0].upper()}{name[1:]} of the surest answers",
        said,
        _SIZE,
        axes(across, up, ticks(0, 1), ticks(low, 1, most=4)),
        text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, "share of texts answered", "tick", text_anchor="middle"),
        line(across(0), up(whole), across(1), up(whole), "diagonal"),
        element("g", polyline([(across(x), up(y)) for x, y in points], "curve validation")),
        *goals,
    )


def marked_text(found: Explained) -> Markup:
    """The text with what spoke for the answer and against it marked, by colour and by line."""
    largest = max((abs(word.score) for word in found.words), default=0.0)
    parts: list[str] = []
    at = 0
    for word in found.words:
        if word.end > _TEXT_CHARACTERS:
            break
        step = strength(word.score, largest)
        shown = plain(found.text[word.start : word.end])
        parts.append(_between(found.text[at : word.start]))
        parts.append(_mark(shown, step, word.score) if step else shown)
        at = word.end
    return Markup("").join(parts)


def _between(passed: str) -> str:
    shown = plain(passed)
    return f" {shown} " if shown else " " * bool(passed)


def _mark(shown: str, step: int, score: float) -> Markup:
    side = "for" if step > 0 else "against"
    return element("mark", shown, class_=f"{side} w{abs(step)}", title=f"{signed(score, 2)}")


def _rest(found: Explained) -> str:
    """What is said where not all of the text is shown."""
    return "…" if len(found.text) > _TEXT_CHARACTERS else ""
