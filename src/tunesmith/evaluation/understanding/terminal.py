"""What there is to understand -> terminal: a few lines, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from tunesmith.evaluation.terminal_parts import heading, table
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.understanding.types import Explained, Reached, Robustness, Understanding
from tunesmith.evaluation.understanding.wording import accuracy_name, confidence, percent, worse_slices
from tunesmith.evaluation.wording import clip, plain, score, signed

__all__ = ["understanding_lines"]

_NAME_COLUMNS = 26
_MOST_WORSE = 5
_MOST_EXPLAINED = 3
_TELLING_WORDS = 4


def understanding_lines(report: Report) -> list[RenderableType]:
    """From which confidence on to answer, weak slices, and what was asked for besides."""
    told = report.understanding
    if told is None:
        return []
    parts: list[RenderableType] = [Text(), *_selection(report, told), *_worse(told)]
    if told.robustness is not None:
        parts += [Text(), *_robustness(told.robustness, accuracy_name(report.kind))]
    if told.explained:
        parts += [Text(), heading("What the words did in the worst mistakes")]
        parts += [line for found in told.explained[:_MOST_EXPLAINED] for line in _explained(found)]
    return parts


def _selection(report: Report, told: Understanding) -> Iterator[RenderableType]:
    yield heading("Where only the surest are answered")
    if report.kind == "single_label":
        fitted = told.selection.goals[0].fitted_on if told.selection.goals else "test"
        yield Text(
            "confidences fitted on validation rows, measured on these"
            if fitted == "validation"
            else "confidences fitted on these very rows: they describe, and promise nothing",
            style="dim",
        )
    for goal in told.selection.goals:
        yield Text(f"  {_goal(goal, report)}")


def _goal(goal: Reached, report: Report) -> str:
    name = f"to be right in {percent(goal.goal)}"
    if goal.min_confidence is None:
        return f"{name}: no confidence gives that"
    typed = f" with --min-confidence {confidence(goal)}" if report.kind == "single_label" else ""
    if goal.accuracy is None or goal.coverage is None:
        return f"{name}: no text is so sure{typed}"
    return f"{name}: {percent(goal.coverage)} answered, {percent(goal.accuracy.value)} right{typed}"


def _worse(told: Understanding) -> Iterator[RenderableType]:
    worse = worse_slices(told)
    if worse:
        yield Text()
        yield heading("Worse than the rest")
    for by, name, difference in worse[:_MOST_WORSE]:
        yield Text(f"  {clip(by, 24)}: {clip(name, 36)}  {signed(difference.value)}")
    if len(worse) > _MOST_WORSE:
        yield Text(f"  {len(worse) - _MOST_WORSE} more are in the report", style="dim")


def _robustness(found: Robustness, accuracy: str) -> Iterator[RenderableType]:
    yield heading(f"Typed otherwise ({found.rows:,} test rows)")
    made = table(("texts",), (accuracy, "macro-F1", "difference", "other answers"))
    made.add_row(*map(Text, ("as they are", score(found.accuracy), score(found.macro_f1), "–", "–")))
    for each in found.tests:
        difference = f"{signed(each.macro_f1_difference.low)} to {signed(each.macro_f1_difference.high)}"
        cells = (score(each.accuracy), score(each.macro_f1), difference, percent(each.changed_answers))
        made.add_row(*map(Text, (clip(each.name, _NAME_COLUMNS), *cells)))
    yield made
    if found.left_out:
        yield Text(f"no time was left for: {', '.join(found.left_out)}", style="dim")


def _explained(found: Explained) -> Iterator[RenderableType]:
    yield Text(plain(found.where), style="dim", overflow="fold")
    words = sorted(found.words, key=lambda word: -word.score)[:_TELLING_WORDS]
    said = ", ".join(
        f"{clip(found.text[word.start : word.end], 12)} {signed(word.score, 2)}"
        for word in words
        if word.score > 0
    )
    yield Text(f"  for {clip(found.label, 24)}: {said or 'no word'}")
