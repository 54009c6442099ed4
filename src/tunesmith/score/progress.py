"""How far scoring has come, and when it will be over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.score.here import Done
from tunesmith.score.source import Source

__all__ = ["Clock", "Scoring", "Watch"]

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How far scoring has come."""

    rows: int
    """How many rows are answered, those of an earlier call included"""
    rows_per_second: float
    """Of this call"""
    total: int | None = None
    """How many rows there are; None where nothing tells"""
    estimated: bool = False
    """Whether `total` is reckoned from how much of the file was read"""

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at this speed; None where the rest is not known."""
        if self.total is None or not self.rows_per_second:
            return None
        return max(0, self.total - self.rows) / self.rows_per_second


class Watch:
    """Counts rows and seconds."""

    def __init__(self, source: Source, before: int, clock: Clock = time.perf_counter) -> None:
        self.rows = 0
        """Answered in this call"""
        self._before = before
        self._source = source
        self._clock = clock
        self._began = clock()

    def answered(self, piece: Done) -> Scoring:
        """How far scoring has come with this piece."""
        self.rows += piece.rows
        rows, total = self._before + self.rows, self._source.total
        if total is not None or piece.share is None:
            return Scoring(rows, self.rows_per_second, total)
        return Scoring(rows, self.rows_per_second, round(piece.span[1] / piece.share), estimated=True)

    @property
    def rows_per_second(self) -> float:
        """Since it began."""
        return self.rows / max(1e-9, self._clock() - self._began)
