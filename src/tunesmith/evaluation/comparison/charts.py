"""Charts of a comparison: differences with their intervals, and every label's F1 in each run."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tunesmith.evaluation.comparison.types import ComparedLabel, ComparedRun, Comparison
from tunesmith.evaluation.svg import Scale, circle, element, figure, line, text, ticks
from tunesmith.evaluation.wording import Score, clip, score

__all__ = ["MOST_LABELS", "forest", "label_dots", "most_moved"]

MOST_LABELS = 30
_ROW, _NAMES, _WIDTH, _VALUES = 30, 112, 430, 62
_NAME_WIDTH, _DOT = 16, 4.5
_COLOURS = 6
_TITLE_WIDTH = 60


def forest(comparison: Comparison, by: Score) -> Markup:
    """The difference of each run from the first in one score, around a line where there is none."""
    runs = comparison.runs[1:]
    low = min(0.0, *(run.differences[by.key].low for run in runs))
    high = max(0.0, *(run.differences[by.key].high for run in runs))
    room = 0.08 * (high - low) or 0.01
    across = Scale(low - room, high + room, _NAMES, _WIDTH - _VALUES)
    bottom = len(runs) * _ROW
    rules = [line(across(at), 0, across(at), bottom, "grid") for at in ticks(across.low, across.high)]
    numbers = [
        text(across(at), bottom + 15, by.signed(at), "tick", text_anchor="middle")
        for at in ticks(across.low, across.high, 4)
    ]
    none = line(across(0), 0, across(0), bottom, "diagonal")
    drawn = [_difference(run, by, across, (at + 0.5) * _ROW, at + 1) for at, run in enumerate(runs)]
    told = [(run.name, run.differences[by.key]) for run in runs]
    said = " ".join(f"{name}: {by.signed(one.value)}, {by.span(one, sign=True)}." for name, one in told)
    title = f"Difference in {by.name} from {comparison.runs[0].name}"
    return figure(f"forest-{by.key}", title, said, (_WIDTH, bottom + 22), *rules, none, *numbers, *drawn)


def _difference(run: ComparedRun, by: Score, across: Scale, middle: float, number: int) -> Markup:
    found = run.differences[by.key]
    low, high = across(found.low), across(found.high)
    ends = [line(x, middle - 4, x, middle + 4, "whisker") for x in (low, high)]
    return element(
        "g",
        text(0, middle + 4, clip(run.name, _NAME_WIDTH), "word"),
        line(low, middle, high, middle, "whisker"),
        *ends,
        circle(across(found.value), middle, _DOT, f"run run{_colour(number)}"),
        text(_WIDTH - _VALUES + 10, middle + 4, by.signed(found.value), "word"),
    )


def _colour(number: int) -> int:
    return number % _COLOURS


def most_moved(comparison: Comparison) -> list[int]:
    """The labels whose F1 differs most from the first run's, in label order; all where they are few."""
    labels = zip(*(run.per_label for run in comparison.runs[1:]), strict=True)
    moved = [max(abs(one.difference.value) for one in each if one.difference) for each in labels]
    chosen = sorted(range(len(moved)), key=lambda at: -moved[at])[:MOST_LABELS]
    return sorted(chosen)


def label_dots(comparison: Comparison, shown: Sequence[int]) -> Markup:
    """The F1 of each label in each run, as dots on one line from 0 to 1."""
    across, row = Scale(0, 1, _NAMES, _WIDTH - 12), 24
    bottom = len(shown) * row
    rules = [line(across(at / 5), 0, across(at / 5), bottom, "grid") for at in range(6)]
    numbers = [
        text(across(at / 5), bottom + 15, f"{at / 5:g}", "tick", text_anchor="middle") for at in range(6)
    ]
    drawn = [_row_of(comparison, at, across, (place + 0.5) * row) for place, at in enumerate(shown)]
    said = f"One line a label, one dot a run; {len(shown)} labels."
    return figure("label-dots", "F1 of each label", said, (_WIDTH, bottom + 22), *rules, *numbers, *drawn)


def _row_of(comparison: Comparison, at: int, across: Scale, middle: float) -> Markup:
    found = [run.per_label[at] for run in comparison.runs]
    places = [across(label.f1) for label in found]
    dots = [
        element(
            "g", element("title", _hint(run, label)), circle(x, middle, _DOT, f"run run{_colour(number)}")
        )
        for number, (run, label, x) in enumerate(zip(comparison.runs, found, places, strict=True))
    ]
    name = text(0, middle + 4, clip(found[0].label, _NAME_WIDTH), "word")
    return element("g", name, line(min(places), middle, max(places), middle, "whisker"), *dots)


def _hint(run: ComparedRun, label: ComparedLabel) -> str:
    return f"{run.name}: {clip(label.label, _TITLE_WIDTH)} {score(label.f1)}"
