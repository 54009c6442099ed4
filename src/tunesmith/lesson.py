"""What a kind of task gives the stages that are the same for all: what is learned, and how judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.evaluation.predictions import Predictions
from tunesmith.evaluation.understanding.understood import Asked
from tunesmith.recipe import Recipe
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.objective import TextObjective

__all__ = ["Judging", "Lesson", "OnAnswer"]

OnAnswer = Callable[[str, int, int], None]
"""Hears who answers the test rows, how many of them are answered, and of how many."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a model is trained on, and what its weights are chosen by."""

    train: TextObjective
    held_out: TextObjective | None = None
    evaluate: Callable[[Any], Mapping[str, float]] | None = None
    """The figures of a model on the validation rows, of which the best `score` is kept; None: no such rows.
    Figures without a score are only logged."""
    begin: Callable[[Any, Checkpoints, bool], None] | None = None
    """Asks the base before the first step; its answers are kept there, and found where the run goes on"""


@dataclass(frozen=True, slots=True)
class Judging:
    """What a report says besides how good the answers are."""

    provenance: Mapping[str, str]
    recipe: Recipe
    """That of the model: whatever is drawn goes by its seed, and its base may be asked too"""
    curves: Sequence[Mapping[str, float]] = ()
    train_seconds: float | None = None
    peak_memory_bytes: int | None = None
    on_answer: OnAnswer = lambda _who, _done, _total: None
    asked: Asked = field(default_factory=Asked)
    keep: Callable[[Predictions], None] | None = None
    """Hears what was answered on each test row, where anybody wants to"""
