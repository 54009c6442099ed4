"""Charts of data: counts by name, and lengths."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tunesmith.evaluation.svg import Scale, element, figure, rect, text
from tunesmith.evaluation.wording import clip

__all__ = ["count_bars", "length_histogram"]

_WIDTH, _ROW, _LEFT, _RIGHT = 310, 26, 108, 252
_NAME_WIDTH = 17
_HEIGHT, _TOP, _BOTTOM = 190, 22, 160


def count_bars(name: str, title: str, counts: Sequence[tuple[str, int]]) -> Markup:
    """How many rows each name has, as bars one below the other; `name` must be unique on the page."""
    across = Scale(0, max((count for _, count in counts), default=1) or 1, _LEFT, _RIGHT)
    drawn = [
        element(
            "g",
            text(0, place * _ROW + 17, clip(said, _NAME_WIDTH), "word"),
            rect(across(0), place * _ROW + 6, across(count) - across(0), _ROW - 12, "bar"),
            text(across(count) + 7, place * _ROW + 17, f"{count:,}", "tick"),
        )
        for place, (said, count) in enumerate(counts)
    ]
    told = " ".join(f"{said}: {count:,}." for said, count in counts)
    return figure(name, title, told, (_WIDTH, max(1, len(counts)) * _ROW), *drawn)


def length_histogram(bins: Sequence[tuple[int, int]]) -> Markup:
    """How many texts have up to so many tokens, each bin twice as wide as the one before."""
    up = Scale(0, max(count for _, count in bins) or 1, _BOTTOM, _TOP)
    step = (_WIDTH - 10) / len(bins)
    drawn = [
        element(
            "g",
            rect(place * step + 3, up(count), step - 6, _BOTTOM - up(count), "bar"),
            text((place + 0.5) * step, up(count) - 5, f"{count:,}", "tick", text_anchor="middle"),
            text((place + 0.5) * step, _BOTTOM + 16, f"≤{most:,}", "tick", text_anchor="middle"),
        )
        for place, (most, count) in enumerate(bins)
    ]
    told = " ".join(f"Up to {most:,} tokens: {count:,} texts." for most, count in bins)
    return figure("lengths", "Texts by their length in tokens", told, (_WIDTH, _HEIGHT), *drawn)
