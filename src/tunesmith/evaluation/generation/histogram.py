"""How long answers and references are, drawn beside each other."""

from __future__ import annotations

from markupsafe import Markup

from tunesmith.evaluation.generation.types import LengthBin, Lengths
from tunesmith.evaluation.svg import Scale, axes, element, figure, rect, text, ticks

__all__ = ["length_histogram"]

_SIZE = (310, 244)
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 302, 34, 196
_SERIES = (("answers", "bar"), ("references", "quiet"))


def length_histogram(lengths: Lengths) -> Markup:
    """Rows by words: this model's answers and the references in pairs of bars."""
    bins = lengths.bins
    most = max(max(found.answers, found.references) for found in bins)
    across, up = Scale(0, len(bins), _LEFT, _RIGHT), Scale(0, most * 1.06, _BOTTOM, _TOP)
    parts = [
        axes(across, up, [], [value for value in ticks(0, up.high, most=4) if value == round(value)]),
        *(_pair(found, index, across, up) for index, found in enumerate(bins)),
        *_below(bins, across),
        text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, "words", "tick", text_anchor="middle"),
        *_legend(),
    ]
    said = " ".join(
        f"{_range(found)} words: {found.answers} answers, {found.references} references." for found in bins
    )
    return figure("lengths", "Length of answers and references", said, _SIZE, *parts)


def _pair(found: LengthBin, index: int, across: Scale, up: Scale) -> Markup:
    left, width = across(index) + 1.5, (across(1) - across(0) - 4) / 2
    bars = [
        rect(left + place * (width + 1), up(rows), width, _BOTTOM - up(rows), class_)
        for place, (rows, (_, class_)) in enumerate(
            zip((found.answers, found.references), _SERIES, strict=True)
        )
    ]
    said = f"{_range(found)} words: {found.answers:,} answers, {found.references:,} references"
    return element("g", element("title", said), *bars)


def _range(found: LengthBin) -> str:
    if found.high is None:
        return f"{found.low:,} and more"
    return f"{found.low:,}" if found.high == found.low + 1 else f"{found.low:,} to {found.high - 1:,}"


def _below(bins: tuple[LengthBin, ...], across: Scale) -> list[Markup]:
    """Where bins begin, as many as there is room for."""
    every = -(-len(bins) // 7)
    return [
        text(across(index), _BOTTOM + 17, f"{found.low:,}", "tick", text_anchor="middle")
        for index, found in enumerate(bins)
        if index % every == 0
    ]


def _legend() -> list[Markup]:
    marks = [rect(_LEFT + 92 * place, 5, 12, 12, class_) for place, (_, class_) in enumerate(_SERIES)]
    names = [text(_LEFT + 92 * place + 18, 15, name, "word") for place, (name, _) in enumerate(_SERIES)]
    return [*marks, *names]
