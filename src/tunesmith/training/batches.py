"""Which rows a step holds: a pure function of (seed, epoch, step), so that resuming replays nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

__all__ = ["Plan", "Rows", "Steps"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Steps(Sequence[Rows]):
    """The rows of each step: an order, cut where it is asked for, as steps may be many."""

    order: Rows
    """(rows,)"""
    bounds: Rows
    """(steps + 1,) where each step begins in `order`, and where the last ends"""

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @overload
    def __getitem__(self, index: int) -> Rows: ...

    @overload
    def __getitem__(self, index: slice) -> list[Rows]: ...

    def __getitem__(self, index: int | slice) -> Rows | list[Rows]:
        if isinstance(index, slice):
            return [self[step] for step in range(len(self))[index]]
        step = range(len(self))[index]
        return self.order[self.bounds[step] : self.bounds[step + 1]]


@dataclass(frozen=True)
class Plan:
    """All steps of a training run; every epoch has the same number of steps."""

    lengths: npt.NDArray[np.int64]
    """(rows,) tokens of each row"""
    epochs: int
    batch_tokens: int
    seed: int

    @cached_property
    def steps_per_epoch(self) -> int:
        """Steps in which each row is seen once."""
        wanted = round(int(self.lengths.sum()) / self.batch_tokens)
        return max(1, min(len(self.lengths), wanted))

    @property
    def total_steps(self) -> int:
        """Steps of all epochs."""
        return self.epochs * self.steps_per_epoch

    def epoch(self, epoch: int) -> Steps:
        """The rows of every step of one epoch: shuffled, then cut at equal shares of the tokens."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.lengths))
        tokens_before = np.cumsum(self.lengths[order])
        shares = np.arange(1, self.steps_per_epoch) * (tokens_before[-1] / self.steps_per_epoch)
        bounds = self._bounds(np.searchsorted(tokens_before, shares))
        return Steps(order, np.concatenate([[0], bounds, [len(order)]]))

    def _bounds(self, bounds: Rows) -> Rows:
        # a row longer than a share must not leave the next step empty
        step = np.arange(1, len(bounds) + 1)
        increasing = np.maximum.accumulate(np.maximum(bounds, step) - step) + step
        return np.minimum(increasing, len(self.lengths) - (len(bounds) + 1 - step))

    def steps_from(self, step: int) -> Iterator[tuple[int, int, Rows]]:
        """(step, epoch, rows) from `step` on, which counts the steps already done."""
        for epoch in range(step // self.steps_per_epoch, self.epochs):
            rows = self.epoch(epoch)
            first = max(step, epoch * self.steps_per_epoch)
            for index in range(first - epoch * self.steps_per_epoch, len(rows)):
                yield epoch * self.steps_per_epoch + index, epoch, rows[index]
