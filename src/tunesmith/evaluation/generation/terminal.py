"""Report of written answers -> terminal: comparison, scores, verdict and an example of each sort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunesmith.evaluation.examples import first_of_each
from tunesmith.evaluation.generation.differences import Piece, differences
from tunesmith.evaluation.generation.named import beside_of, lead_of, shown_scores, writing_of
from tunesmith.evaluation.generation.types import WrittenExample
from tunesmith.evaluation.terminal_parts import (
    MODEL,
    heading,
    label_table,
    paired_tests,
    table,
    verdict,
    with_span,
)
from tunesmith.evaluation.types import Interval, Report
from tunesmith.evaluation.wording import Score, clip, duration, milliseconds, plain, score

__all__ = ["comparison", "writing_as_terminal"]

_NAME_COLUMNS = 20
# three lines at most for each text
_TEXT_COLUMNS = 3 * 64


def writing_as_terminal(report: Report) -> RenderableType:
    """The report in no more than 80 columns."""
    notes = (Text(note, style="dim") for note in writing_of(report).notes)
    parts: list[RenderableType] = [
        heading(f"On {report.rows:,} test rows"),
        comparison(report, (beside_of(report),)),
        _others(report),
        *notes,
        *paired_tests(report),
        *([Text(), *label_table(report)] if report.per_label else []),
        Text(),
        verdict(report),
        Text(),
        heading("Examples"),
        *(line for each in first_of_each(writing_of(report).examples) for line in _example(each)),
    ]
    return Group(*parts)


def comparison(report: Report, also: tuple[Score, ...]) -> Table:
    """The score that decides of every rival and of the model, with its interval, and scores beside it."""
    lead = lead_of(report)
    names = (lead.name, "95 % interval", *(each.name for each in also))
    rows = table(("method",), (*names, "train", "ms/text"))

    def cells(metrics: Mapping[str, float], intervals: Mapping[str, Interval]) -> tuple[str, ...]:
        beside = (each.show(metrics[each.key]) for each in also)
        return lead.show(metrics[lead.key]), lead.span(intervals[lead.key]), *beside

    for rival in report.rivals:
        cost = (duration(rival.train_seconds), milliseconds(rival.milliseconds_per_text))
        name = clip(rival.name, _NAME_COLUMNS)
        rows.add_row(*map(Text, (name, *cells(rival.metrics, rival.intervals), *cost)))
    cost = (duration(report.cost.train_seconds), milliseconds(report.cost.milliseconds_per_text))
    rows.add_row(*map(Text, (MODEL, *cells(report.metrics, report.intervals), *cost)), style="bold")
    return rows


def _others(report: Report) -> Text:
    told = [with_span(report, each) for each in shown_scores(report)[2:]]
    lengths = writing_of(report).lengths
    told.append(f"{lengths.answer_mean:.0f} words an answer, {lengths.reference_mean:.0f} a reference")
    return Text(f"also: {', '.join(told)}", style="dim")


def _example(found: WrittenExample) -> Iterator[RenderableType]:
    head = Text(f"{found.chosen}, ROUGE-L {score(found.rouge_l)}  ")
    yield head.append(plain(found.where), style="dim")
    reference, answer = (clip(text, _TEXT_COLUMNS) for text in (found.reference, found.answer))
    wanted, written = differences(reference, answer)
    prompt = [Piece(clip(found.prompt, _TEXT_COLUMNS), differs=False)]
    for name, pieces in (("prompt", prompt), ("reference", wanted), ("answer", written)):
        line = Text(f"{name:<11}", style="dim")
        line.append_text(Text.assemble(*((piece.text, _style(piece)) for piece in pieces)))
        yield Padding(line, (0, 0, 0, 2))


def _style(piece: Piece) -> str:
    return "not dim bold underline" if piece.differs else "not dim"
