"""Comparison -> terminal: the runs, the differences, the labels that moved, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunesmith.evaluation.comparison.types import ComparedRun, Comparison
from tunesmith.evaluation.comparison.words import shown_scores
from tunesmith.evaluation.terminal_parts import heading, table
from tunesmith.evaluation.wording import clip, duration, milliseconds, plain, score, signed, size, span

__all__ = ["comparison_as_terminal"]

_NAME_COLUMNS = 18
_MOST_LABELS = 8
_MOST_EXAMPLES = 3


def comparison_as_terminal(comparison: Comparison) -> RenderableType:
    """What `tunesmith compare` prints; needs no more than 80 columns."""
    parts: list[RenderableType] = [
        heading(f"On {comparison.rows:,} test rows"),
        _scores(comparison),
        Text(),
        _costs(comparison),
    ]
    for run in comparison.runs[1:]:
        parts += [Text(), *_beside(comparison, run)]
    parts += [Text(), *(Text(sentence) for sentence in comparison.sentences)]
    return Group(*parts)


def _scores(comparison: Comparison) -> Table:
    lead, beside = shown_scores(comparison)[:2]
    rows = table(("run",), (lead.name, "95 % interval", "difference", "95 % interval", beside.name))
    for run in comparison.runs:
        apart = run.differences.get(lead.key)
        cells = (
            lead.show(run.metrics[lead.key]),
            lead.span(run.intervals[lead.key]),
            lead.signed(apart.value) if apart else "–",
            lead.span(apart, sign=True) if apart else "–",
            beside.show(run.metrics[beside.key]),
        )
        rows.add_row(*map(Text, (clip(run.name, _NAME_COLUMNS), *cells)))
    return rows


def _costs(comparison: Comparison) -> Table:
    settings = tuple(comparison.runs[0].recipe)
    rows = table(("run",), ("train", "ms/text", "model"))
    rows.add_column(Text("settings that differ"), overflow="fold")
    for run in comparison.runs:
        speed = run.cost.milliseconds_per_text
        cells = (
            duration(run.cost.train_seconds),
            "–" if speed is None else milliseconds(speed),
            size(run.cost.model_bytes),
            ", ".join(f"{name} {run.recipe[name]}" for name in settings) or "none",
        )
        rows.add_row(*map(Text, (clip(run.name, _NAME_COLUMNS), *cells)))
    return rows


def _beside(comparison: Comparison, run: ComparedRun) -> Iterator[RenderableType]:
    first = comparison.runs[0]
    yield heading(f"{clip(run.name, 30)} beside {clip(first.name, 30)}")
    if run.per_label:
        yield _labels(first, run)
    told = f"they answer {run.apart:,} of {comparison.rows:,} rows differently"
    yield Text(told, style="dim")
    for row in run.examples[:_MOST_EXAMPLES]:
        truth = f", {clip(row.truth, 20)}" if row.truth else ""
        answers = f"{clip(row.first, 20)} | {clip(row.other, 20)}"
        yield Padding(Text(f"{plain(row.where)}{truth}: {answers}", overflow="fold"), (0, 0, 0, 2))


def _labels(first: ComparedRun, run: ComparedRun) -> Table:
    """The labels that differ most."""
    rows = table(("label",), ("rows", "F1 before", "F1", "difference", "95 % interval"))
    pairs = [
        (before, label, label.difference)
        for before, label in zip(first.per_label, run.per_label, strict=True)
        if label.difference is not None
    ]
    for before, label, apart in sorted(pairs, key=lambda pair: -abs(pair[2].value))[:_MOST_LABELS]:
        cells = (score(before.f1), score(label.f1), signed(apart.value), span(apart, sign=True))
        rows.add_row(*map(Text, (clip(label.label, 24), f"{label.rows:,}", *cells)))
    return rows
