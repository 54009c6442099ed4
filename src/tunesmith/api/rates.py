"""How much each caller has used in the last minute, in memory that forked processes share."""

from __future__ import annotations

import math
import mmap
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

from tunesmith.files import sha256_bytes

__all__ = ["Kind", "Rates"]

Kind = Literal["requests", "texts"]

# one cell a second, and one for the second that has begun: what is counted is at least the last 60 seconds
_SECONDS = 61
_KINDS: dict[Kind, int] = {"requests": 2, "texts": 2 + _SECONDS}
# whose it is, the second it was last used in, and the cells of both kinds
_CELLS = 2 + 2 * _SECONDS
_CELL_BYTES = 8
_PROBES = 8


class Rates:
    """A moving window of a minute for each caller and kind; nothing is kept of what was refused.

    There is room for `callers`; where more call within a minute, those seen longest ago are forgotten.
    `clock` must be the same in all processes, as time.monotonic is, and `alone` keeps the others out.
    """

    def __init__(
        self,
        *,
        callers: int = 4096,
        clock: Callable[[], float] = time.monotonic,
        alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._clock, self._alone, self._callers = clock, alone, callers
        # anonymous and shared: a process that is forked counts in the same cells
        memory = mmap.mmap(-1, callers * _CELLS * _CELL_BYTES)
        self._cells = memoryview(memory).cast("q")

    def take(self, caller: str, kind: Kind, amount: int, limit: int) -> int:
        """Count `amount` and return 0; where more than `limit` a minute would come of it, seconds to wait.

        `amount` must not be larger than `limit`.
        """
        assert amount <= limit, "that would never be granted"
        with self._alone():
            now = self._clock()
            row = self._row(_number(caller), int(now))
            start = _KINDS[kind]
            cells = row[start : start + _SECONDS]
            seconds = self._wait(cells, now, sum(cells) + amount - limit)
            if not seconds:
                cells[int(now) % _SECONDS] += amount
            return seconds

    def _wait(self, cells: memoryview, now: float, excess: int) -> int:
        """Whole seconds until cells that hold `excess` have grown old."""
        second = int(now) - _SECONDS
        while excess > 0:
            second += 1
            excess -= cells[second % _SECONDS]
        leaves = second + _SECONDS
        return max(0, math.ceil(leaves - now))

    def _row(self, number: int, second: int) -> memoryview:
        """The caller's cells, without what is older than a minute."""
        rows = [self._cells[at * _CELLS : (at + 1) * _CELLS] for at in self._places(number)]
        row = next((row for row in rows if row[0] == number), None)
        if row is None:
            row = min(rows, key=lambda row: row[1])
            row[:] = _EMPTY
            row[0] = number
        for old in range(max(row[1], second - _SECONDS) + 1, second + 1):
            for start in _KINDS.values():
                row[start + old % _SECONDS] = 0
        row[1] = second
        return row

    def _places(self, number: int) -> list[int]:
        return [(number + step) % self._callers for step in range(_PROBES)]


_EMPTY = memoryview(bytes(_CELLS * _CELL_BYTES)).cast("q")


def _number(caller: str) -> int:
    """A positive number that stands for the caller; 0 is no one's."""
    return int(sha256_bytes(caller.encode())[:15], 16) or 1
