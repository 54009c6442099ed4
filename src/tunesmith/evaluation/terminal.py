"""Report -> terminal: the comparison, the labels, the verdict and the worst mistakes in 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunesmith.evaluation.types import Interval, LabelScore, Mistake, Report
from tunesmith.evaluation.wording import (
    Score,
    beside_macro_f1,
    clip,
    duration,
    further,
    milliseconds,
    plain,
    score,
    span,
    weakest,
)

__all__ = ["as_terminal"]

_MODEL = "this model"
_MOST_LABELS = 12
_MOST_MISTAKES = 3
_LABEL_COLUMNS = 24
_NAME_COLUMNS = 14
_TEXT_COLUMNS = 74


def as_terminal(report: Report) -> RenderableType:
    """What `tunesmith evaluate` prints; needs no more than 80 columns."""
    parts: list[RenderableType] = [
        _heading(f"On {report.rows:,} test rows"),
        _comparison(report),
        *([_further(report)] if report.kind == "multi_label" else []),
        Text(),
        *_labels(report),
        Text(),
        _verdict(report),
    ]
    if report.mistakes:
        parts += [Text(), _heading("Worst mistakes"), *map(_mistake, report.mistakes[:_MOST_MISTAKES])]
    return Group(*parts)


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _table(left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    # Text, not str, in every cell: a label such as "[red]" is no markup
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in left:
        table.add_column(Text(name), overflow="fold")
    for name in right:
        table.add_column(Text(name), justify="right", no_wrap=True)
    return table


def _comparison(report: Report) -> Table:
    beside = beside_macro_f1(report)
    right = (beside.name, "macro-F1", "95 % interval", "log-loss", "train", "ms/text")
    table = _table(("method",), right)
    for rival in report.rivals:
        cells = _cells(rival.metrics, rival.intervals["macro_f1"], beside)
        cost = (duration(rival.train_seconds), milliseconds(rival.milliseconds_per_text))
        table.add_row(*map(Text, (clip(rival.name, _NAME_COLUMNS), *cells, *cost)))
    cells = _cells(report.metrics, report.intervals["macro_f1"], beside)
    cost = (duration(report.cost.train_seconds), milliseconds(report.cost.milliseconds_per_text))
    table.add_row(*map(Text, (_MODEL, *cells, *cost)), style="bold")
    return table


def _cells(metrics: dict[str, float], interval: Interval, beside: Score) -> tuple[str, ...]:
    macro_f1 = score(metrics["macro_f1"])
    return score(metrics[beside.key]), macro_f1, span(interval), score(metrics["log_loss"])


def _further(report: Report) -> Text:
    told = ", ".join(f"{each.name} {score(report.metrics[each.key])}" for each in further(report))
    return Text(f"also: {told}", style="dim")


def _labels(report: Report) -> list[RenderableType]:
    shown = report.per_label
    notes: list[RenderableType] = []
    if len(shown) > _MOST_LABELS:
        shown = weakest(shown)[:_MOST_LABELS]
        rest = len(report.per_label) - _MOST_LABELS
        notes.append(Text(f"the {_MOST_LABELS} weakest labels; {rest} more are in the report", style="dim"))
    table = _table(("label",), ("rows", "precision", "recall", "F1", "95 % interval"))
    for found in shown:
        table.add_row(*map(Text, _label_cells(found)))
    return [table, *notes]


def _label_cells(found: LabelScore) -> tuple[str, ...]:
    name, rows = clip(found.label, _LABEL_COLUMNS), f"{found.rows:,}"
    if not found.rows:
        return name, rows, "–", "–", "–", "–"
    scores = (score(found.precision), score(found.recall), score(found.f1))
    return name, rows, *scores, span(found.f1_interval)


def _verdict(report: Report) -> RenderableType:
    verdict = report.verdict
    sentences = (Padding(Text(sentence), (0, 0, 0, 2)) for sentence in verdict.sentences)
    return Group(_heading(verdict.headline), *sentences)


def _mistake(found: Mistake) -> RenderableType:
    answer = f"{clip(found.truth, 24)} → {clip(found.predicted, 24)}  {score(found.probability)}"
    lines = (Text(plain(found.where), style="dim", overflow="fold"), Text(answer))
    return Group(*lines, Padding(Text(clip(found.text, _TEXT_COLUMNS)), (0, 0, 0, 2)))
