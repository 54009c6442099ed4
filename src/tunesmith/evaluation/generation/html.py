"""Report of written answers -> the same kind of page, with answers and references side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunesmith.evaluation.bars import rival_bars, score_bar
from tunesmith.evaluation.curves import loss_curve, score_curve
from tunesmith.evaluation.generation.differences import Piece, differences
from tunesmith.evaluation.generation.histogram import length_histogram
from tunesmith.evaluation.generation.named import (
    MEANINGS,
    beside_of,
    compared_scores,
    lead_of,
    named,
    shown_scores,
    writing_of,
)
from tunesmith.evaluation.generation.types import WrittenExample
from tunesmith.evaluation.page import label_rows, render_page, strongest
from tunesmith.evaluation.svg import element
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.wording import Score, paragraphs

__all__ = ["ScoreRow", "score_row", "writing_as_html"]

# the strongest come first, the others on demand
_RIVALS_FIRST = 2
# room for the longest name of a rival
_NAME_PIXELS = 132
_TEXT_CHARACTERS = 1_600
_PROMPT_CHARACTERS, _PROMPT_SHOWN = 6_000, 260


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A score in the table of scores; `bar` and `span` where it has an interval; `rival` is the best one."""

    title: str
    value: str
    bar: Markup | None
    span: str | None
    rival: str | None
    rival_value: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """An example as the page shows it, with what differs marked."""

    example: WrittenExample
    prompt: str
    prompt_is_long: bool
    reference: Markup
    answer: Markup


def writing_as_html(report: Report, title: str) -> str:
    """The whole report as one page; every text in it is escaped."""
    return render_page("generation.html.jinja", report, title, _charts(report) | _tables(report))


def _charts(report: Report) -> dict[str, Any]:
    curves = (loss_curve(report.curves), score_curve(report.curves, named("token_accuracy")))
    deciding = (lead_of(report), beside_of(report))
    return {
        "curves": [curve for curve in curves if curve is not None],
        "bars": [(by, rival_bars(report, by, _NAME_PIXELS)) for by in deciding] if report.rivals else [],
        "histogram": length_histogram(writing_of(report).lengths),
    }


def _tables(report: Report) -> dict[str, Any]:
    lead = lead_of(report)
    told, rivals = report.verdict.sentences, len(report.rivals)
    compared = tuple(each for each in compared_scores(report) if each != named("exact_match_folded"))
    return {
        "writing": writing_of(report),
        "said_first": told[:rivals][:_RIVALS_FIRST],
        "said_later": told[:rivals][_RIVALS_FIRST:],
        "cautions": told[rivals:],
        "lead": lead,
        "beside": beside_of(report),
        "strongest": strongest(report, lead),
        "scores": [score_row(report, each) for each in shown_scores(report)],
        "compared": compared,
        "perplexity": named("perplexity"),
        "examples": [_shown(example) for example in writing_of(report).examples],
        # the table of labels is that of single labels
        "several": False,
        "further": (),
        **label_rows(report),
    }


def score_row(report: Report, by: Score) -> ScoreRow:
    """The row of one score."""
    value, interval = report.metrics[by.key], report.intervals.get(by.key)
    best = strongest(report, by)
    return ScoreRow(
        by.title,
        by.show(value),
        # a score without an upper end fits no bar
        score_bar(by, value, interval) if interval and by.top else None,
        by.span(interval) if interval else None,
        best.name if best else None,
        by.show(best.metrics[by.key]) if best else None,
        MEANINGS[by],
    )


def _shown(example: WrittenExample) -> _Shown:
    reference, answer = (
        paragraphs(text.strip(), _TEXT_CHARACTERS) for text in (example.reference, example.answer)
    )
    wanted, written = differences(reference, answer)
    prompt = paragraphs(example.prompt.strip(), _PROMPT_CHARACTERS)
    is_long = len(prompt) > _PROMPT_SHOWN
    return _Shown(example, prompt, is_long, _marked(wanted, "missing"), _marked(written, "added"))


def _marked(pieces: Sequence[Piece], class_: str) -> Markup:
    return Markup("").join(
        element("mark", piece.text, class_=class_) if piece.differs else piece.text for piece in pieces
    )
