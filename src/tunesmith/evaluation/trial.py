"""Trial: the untuned base and the rows by which a rival that is made of it is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.budget import Budget
from tunesmith.model.learner import Learner

__all__ = ["Trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What such a rival is made of, and what it may take."""

    learner: Learner
    max_tokens: int
    """How much of a text is read"""
    micro_batch_tokens: int
    train: Dataset
    test: Dataset
    seed: int
    budget: Budget
    on_rows: Callable[[int, int], None] = lambda _done, _total: None
    """Hears how many test rows are answered, and of how many"""
