"""What terminal reports of every kind are made of."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunesmith.evaluation.types import LabelScore, Report
from tunesmith.evaluation.wording import Score, chance, clip, score, span, weakest

__all__ = ["MODEL", "heading", "label_table", "learning", "paired_tests", "table", "verdict", "with_span"]

MODEL = "this model"
_MOST_LABELS = 12
_LABEL_COLUMNS = 24


def heading(text: str) -> Text:
    """A line that stands out."""
    return Text(text, style="bold")


def table(left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    """A table with `left` columns of words and `right` columns of numbers."""
    # Text, not str, in every cell: a label such as "[red]" is no markup
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in left:
        made.add_column(Text(name), overflow="fold")
    for name in right:
        made.add_column(Text(name), justify="right", no_wrap=True)
    return made


def label_table(report: Report) -> list[RenderableType]:
    """How every label did, the weakest only where they are many."""
    shown = report.per_label
    notes: list[RenderableType] = []
    if len(shown) > _MOST_LABELS:
        shown = weakest(shown)[:_MOST_LABELS]
        rest = len(report.per_label) - _MOST_LABELS
        notes.append(Text(f"the {_MOST_LABELS} weakest labels; {rest} more are in the report", style="dim"))
    made = table(("label",), ("rows", "precision", "recall", "F1", "95 % interval"))
    for found in shown:
        made.add_row(*map(Text, _label_cells(found)))
    return [made, *notes]


def _label_cells(found: LabelScore) -> tuple[str, ...]:
    name, rows = clip(found.label, _LABEL_COLUMNS), f"{found.rows:,}"
    if not found.rows:
        return name, rows, "–", "–", "–", "–"
    scores = (score(found.precision), score(found.recall), score(found.f1))
    return name, rows, *scores, span(found.f1_interval)


def verdict(report: Report) -> RenderableType:
    """The headline and its sentences."""
    sentences = (Padding(Text(sentence), (0, 0, 0, 2)) for sentence in report.verdict.sentences)
    return Group(heading(report.verdict.headline), *sentences)


def paired_tests(report: Report) -> list[RenderableType]:
    """McNemar's test against every rival, where it was made."""
    told = [f"{rival.name} {chance(rival.mcnemar.p)}" for rival in report.rivals if rival.mcnemar]
    return [Text(f"McNemar: {', '.join(told)}", style="dim")] if told else []


def with_span(report: Report, by: Score) -> str:
    """A score with its interval in brackets, where it has one."""
    said = f"{by.name} {by.show(report.metrics[by.key])}"
    return f"{said} ({by.span(report.intervals[by.key])})" if by.key in report.intervals else said


def learning(report: Report) -> list[RenderableType]:
    """What more training rows would bring, where that was asked."""
    if (curve := report.learning_curve) is None:
        return []
    points = ", ".join(f"{point.rows:,} rows {score(point.macro_f1)}" for point in curve.points)
    told = f"macro-F1 on the {curve.measured_on} rows: {points}"
    return [Text(), heading("What more data would bring"), Text(curve.says), Text(told, style="dim")]
