"""Report -> terminal: the comparison, the labels, the verdict and the worst mistakes in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunesmith.evaluation.generation.terminal import writing_as_terminal
from tunesmith.evaluation.preference.terminal import preference_as_terminal
from tunesmith.evaluation.terminal_parts import (
    MODEL,
    heading,
    label_table,
    learning,
    paired_tests,
    table,
    verdict,
    with_span,
)
from tunesmith.evaluation.types import Interval, Mistake, Report
from tunesmith.evaluation.understanding.terminal import understanding_lines
from tunesmith.evaluation.unmeasured import unmeasured_as_terminal
from tunesmith.evaluation.wording import (
    Score,
    beside_macro_f1,
    clip,
    duration,
    further,
    milliseconds,
    plain,
    score,
    size,
    span,
)

__all__ = ["as_terminal"]

_MOST_MISTAKES = 3
_NAME_COLUMNS = 14
_TEXT_COLUMNS = 74


def as_terminal(report: Report) -> RenderableType:
    """What `tunesmith evaluate` prints; needs no more than 80 columns."""
    if not report.rows:
        return unmeasured_as_terminal(report)
    if report.preference is not None:
        return preference_as_terminal(report, report.preference)
    if report.writing is not None:
        return writing_as_terminal(report)
    parts: list[RenderableType] = [
        heading(f"On {report.rows:,} test rows"),
        _comparison(report),
        *_beside(report),
        *([_further(report)] if report.kind == "multi_label" else []),
        *paired_tests(report),
        Text(),
        *label_table(report),
        Text(),
        verdict(report),
        *learning(report),
    ]
    if report.mistakes:
        parts += [Text(), heading("Worst mistakes"), *map(_mistake, report.mistakes[:_MOST_MISTAKES])]
    return Group(*parts, *understanding_lines(report))


def _comparison(report: Report) -> Table:
    beside = beside_macro_f1(report)
    right = (beside.name, "macro-F1", "95 % interval", "log-loss", "train", "ms/text")
    rows = table(("method",), right)
    for rival in report.rivals:
        cells = _cells(rival.metrics, rival.intervals["macro_f1"], beside)
        cost = (duration(rival.train_seconds), milliseconds(rival.milliseconds_per_text))
        rows.add_row(*map(Text, (clip(rival.name, _NAME_COLUMNS), *cells, *cost)))
    cells = _cells(report.metrics, report.intervals["macro_f1"], beside)
    cost = (duration(report.cost.train_seconds), milliseconds(report.cost.milliseconds_per_text))
    rows.add_row(*map(Text, (MODEL, *cells, *cost)), style="bold")
    return rows


def _beside(report: Report) -> Iterator[Text]:
    """What the table has no room for: sizes, and the rivals that were not run."""
    sized = [*((rival.name, rival.size_bytes) for rival in report.rivals), (MODEL, report.cost.size_bytes)]
    told = ", ".join(f"{name} {size(count)}" for name, count in sized if count is not None)
    if told:
        yield Text(f"on disk: {told}", style="dim")
    for rival in report.not_run:
        yield Text(f"not run: {rival.name}, {plain(rival.why)}", style="dim")


def _cells(metrics: dict[str, float], interval: Interval, beside: Score) -> tuple[str, ...]:
    macro_f1 = score(metrics["macro_f1"])
    return score(metrics[beside.key]), macro_f1, span(interval), score(metrics["log_loss"])


def _further(report: Report) -> Text:
    told = ", ".join(with_span(report, each) for each in further(report))
    return Text(f"also: {told}", style="dim")


def _mistake(found: Mistake) -> RenderableType:
    answer = f"{clip(found.truth, 24)} → {clip(found.predicted, 24)}  {score(found.probability)}"
    lines = (Text(plain(found.where), style="dim", overflow="fold"), Text(answer))
    return Group(*lines, Padding(Text(clip(found.text, _TEXT_COLUMNS)), (0, 0, 0, 2)))
