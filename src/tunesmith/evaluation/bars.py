"""Charts over names: rivals and labels as bars with intervals, and the confusion heat map."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from tunesmith.evaluation.svg import Scale, element, figure, line, rect, text
from tunesmith.evaluation.types import Interval, LabelScore, Report
from tunesmith.evaluation.wording import MACRO_F1, Score, clip, columns

__all__ = ["Confusion", "confusions", "heat_map", "label_bar", "most_confused", "rival_bars", "score_bar"]

_ROW = 34
_WIDTH, _BAR_LEFT, _BAR_RIGHT = 310, 88, 260
_SMALLEST_CELL, _LARGEST_CELL, _HEAT_SIDE = 34, 52, 300
_NAME_WIDTH = 16
_COLUMN_WIDTH = 6.6
# shares of a row that begin the next shade: small confusions must show beside the diagonal
_SHADES = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 0.8)


def rival_bars(report: Report, by: Score = MACRO_F1, left: int = _BAR_LEFT) -> Markup:
    """A score of every rival and of this model, with 95 % intervals; names stand in `left` pixels."""
    rows = [(rival.name, rival.metrics, rival.intervals, "quiet") for rival in report.rivals]
    rows.append(("this model", report.metrics, report.intervals, "bar"))
    across = Scale(0, by.top, left, left + _BAR_RIGHT - _BAR_LEFT)
    drawn = [
        _rival_row(
            across, index * _ROW, (name, by.show(metrics[by.key])), metrics[by.key], span_of[by.key], kind
        )
        for index, (name, metrics, span_of, kind) in enumerate(rows)
    ]
    said = " ".join(f"{name}: {by.show(m[by.key])}, {by.span(i[by.key])}." for name, m, i, _ in rows)
    size = (_WIDTH + left - _BAR_LEFT, len(rows) * _ROW)
    return figure(f"rivals-{by.key}", f"{by.title} with 95 % intervals", said, size, *drawn)


def _rival_row(
    across: Scale, top: float, words: tuple[str, str], value: float, interval: Interval, class_: str
) -> Markup:
    middle, weight = top + _ROW / 2, "word strong" if class_ == "bar" else "word"
    return element(
        "g",
        text(0, middle + 4, clip(words[0], round(across.start / _COLUMN_WIDTH) + 1), weight),
        rect(across(0), top + 8, across(value) - across(0), _ROW - 16, class_),
        *_whisker(across, interval, middle),
        text(across.end + 8, middle + 4, words[1], weight),
    )


def _whisker(
    across: Scale, interval: Interval, middle: float, classes: tuple[str, ...] = ("halo", "whisker")
) -> list[Markup]:
    low, high = across(interval.low), across(interval.high)
    places = [(low, middle, high, middle), *((x, middle - 4, x, middle + 4) for x in (low, high))]
    # the halo keeps the whisker apart from a dark bar that it crosses
    return [line(*place, class_) for class_ in classes for place in places]


def label_bar(found: LabelScore) -> Markup:
    """The F1 of one label as a small bar with its interval, for a table cell."""
    return score_bar(Score("f1", "F1"), found.f1, found.f1_interval)


def score_bar(by: Score, value: float, interval: Interval) -> Markup:
    """A score as a small bar with its interval, for a table cell."""
    across = Scale(0, by.top, 3, 137)
    said = f"{by.name} {by.show(value)}, 95 % interval {by.span(interval)}"
    return element(
        "svg",
        element("title", said),
        rect(across(0), 4, across(by.top) - across(0), 10, "track"),
        rect(across(0), 4, across(value) - across(0), 10, "soft"),
        *_whisker(across, interval, 9, ("whisker",)),
        class_="spark",
        viewBox="0 0 140 18",
        width=140,
        height=18,
        role="img",
    )


@dataclass(frozen=True, slots=True)
class Confusion:
    """`rows` test rows of `truth`, a `share` of all of them, were answered `predicted`."""

    truth: str
    predicted: str
    rows: int
    share: float


def confusions(report: Report, most: int) -> list[Confusion]:
    """The most frequent wrong answers."""
    wrong = [
        Confusion(report.labels[truth], report.labels[predicted], rows, rows / sum(cells))
        for truth, cells in enumerate(report.confusion)
        for predicted, rows in enumerate(cells)
        if rows and truth != predicted
    ]
    return sorted(wrong, key=lambda found: -found.rows)[:most]


def most_confused(report: Report, most: int) -> list[int]:
    """The ids of the labels with the most wrong answers, given or received, in label order."""
    table = report.confusion
    received = [sum(column) for column in zip(*table, strict=True)]
    errors = [sum(row) + received[index] - 2 * row[index] for index, row in enumerate(table)]
    return sorted(sorted(range(len(table)), key=lambda index: -errors[index])[:most])


def heat_map(report: Report, shown: list[int]) -> Markup:
    """Confusion of the labels `shown`: truth down, answers across, shaded by share of the truth's rows."""
    cell = max(_SMALLEST_CELL, min(_LARGEST_CELL, _HEAT_SIDE // len(shown)))
    names = [clip(report.labels[index], _NAME_WIDTH) for index in shown]
    gutter = 12 + _COLUMN_WIDTH * max(columns(name) for name in names)
    # names across stand at 45 degrees: they are as high as they reach out to the right
    head, side = 0.75 * gutter + 6, len(shown) * cell
    parts = []
    for place, name in enumerate(names):
        middle = (place + 0.5) * cell
        parts.append(_column_name(name, gutter + middle, head - 8))
        parts.append(text(gutter - 8, head + middle + 4, name, "word", text_anchor="end"))
        parts += _heat_row(report, shown, place, cell, (gutter, head))
    size = (gutter + side + max(2, head - cell / 2), head + side + 2)
    said = f"Rows are true labels, columns the model's answers, {len(shown)} labels."
    return figure("confusion", "Confusion matrix", said, size, *parts, class_="chart fixed")


def _column_name(name: str, x: float, y: float) -> Markup:
    return text(x, y, name, "word", transform=f"rotate(-45 {x:g} {y:g})")


def _heat_row(
    report: Report, shown: list[int], place: int, cell: int, corner: tuple[float, float]
) -> list[Markup]:
    left, top = corner
    return [
        element(
            "g",
            *_cell(report, shown[place], index, cell),
            transform=f"translate({left + across * cell:g} {top + place * cell:g})",
        )
        for across, index in enumerate(shown)
    ]


def _cell(report: Report, truth: int, predicted: int, cell: int) -> list[Markup]:
    rows, total = report.confusion[truth][predicted], sum(report.confusion[truth])
    shade = sum(rows / total > limit for limit in _SHADES) if total else 0
    said = f"{report.labels[truth]} → {report.labels[predicted]}: {rows:,} of {total:,} rows"
    box = rect(1, 1, cell - 2, cell - 2, f"h{shade} right" if truth == predicted else f"h{shade}")
    number = text(cell / 2, cell / 2 + 4, _short(rows), f"t{shade}", text_anchor="middle")
    return [element("title", said), box, number] if rows else [element("title", said), box]


def _short(rows: int) -> str:
    return f"{rows}" if rows < 10_000 else f"{rows / 1000:.0f}k"
