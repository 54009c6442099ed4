"""Budget: the seconds that rivals may take together, and what does not fit into them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tunesmith.evaluation.rival import Clock, LeftOut
from tunesmith.evaluation.wording import duration

__all__ = ["Budget"]

OnRows = Callable[[int, int], None]
"""Hears how many rows are done, and of how many."""

# rows that are done before it is known how long all would take: first one, then ever more
_GROWTH, _MOST_AT_ONCE = 8, 512
# one row says little, unless it says far too much
_TELLING, _FAR = 64, 8.0


class Budget:
    """Seconds that begin to run when this is made."""

    def __init__(self, seconds: float = math.inf, clock: Clock = time.perf_counter) -> None:
        self.seconds = seconds
        self.clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left, 0 where there are none."""
        return max(0.0, self._end - self.clock())

    def allow_any(self) -> None:
        """Raise LeftOut where nothing is left."""
        if self.left <= 0:
            raise LeftOut(f"nothing was left of the {duration(self.seconds)} for rivals (`rival_seconds`)")

    def allow(self, needed: float) -> None:
        """Raise LeftOut where this many seconds are not left."""
        left = self.left
        if needed > left:
            raise LeftOut(
                f"would have taken about {duration(needed)} of the {duration(left)} left (`rival_seconds`)"
            )

    def rows(
        self, total: int, answer: Callable[[slice], Any], on_rows: OnRows = lambda _done, _total: None
    ) -> Any:
        """What `answer` gives for all rows, (total, ...); raise LeftOut as soon as it would take too long."""
        parts, done, size = [], 0, 1
        while done < total:
            began, at = self.clock(), slice(done, min(done + size, total))
            parts.append(answer(at))
            each = (self.clock() - began) / (at.stop - at.start)
            done = at.stop
            needed = each * (total - done)
            if at.stop - at.start >= _TELLING or needed > _FAR * self.left:
                self.allow(needed)
            on_rows(done, total)
            size = min(_MOST_AT_ONCE, size * _GROWTH)
        return np.concatenate(parts)
