"""Rivals that are made of the base as it was before training: it is loaded once more, for them alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.errors import UserError
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.probe import probe
from tunesmith.evaluation.prompting import few_shot, zero_shot
from tunesmith.evaluation.rival import FEW_SHOT, PROBE, ZERO_SHOT, LeftOut, Rival
from tunesmith.evaluation.trial import Trial
from tunesmith.evaluation.types import NotRun
from tunesmith.model.learner import Learner
from tunesmith.training.memory import is_out_of_memory

__all__ = ["UntunedBase", "or_why_not", "untuned_rivals"]


@dataclass(frozen=True, slots=True)
class UntunedBase:
    """How the base is had, and how much of a text it reads."""

    load: Callable[[], Learner]
    """Raises UserError where it cannot be had, and LeftOut where memory does not hold it"""
    max_tokens: int
    micro_batch_tokens: int
    on_answer: Callable[[str, int, int], None] = lambda _who, _done, _total: None
    """Hears who answers the test rows, how many of them are answered, and of how many"""


def untuned_rivals(
    base: UntunedBase, train: Dataset, test: Dataset, seed: int, budget: Budget
) -> tuple[Rival | NotRun, ...]:
    """A regression on what it makes of texts, and what it answers when asked, without and with examples.

    What `budget`, memory or the base itself does not allow is not run.
    """
    try:
        budget.allow_any()
        # nothing holds the base when this is done
        return _tried(base, train, test, seed, budget)
    except (LeftOut, UserError) as error:
        return tuple(NotRun(name, _why(error)) for name in (PROBE, ZERO_SHOT, FEW_SHOT))


def _tried(
    base: UntunedBase, train: Dataset, test: Dataset, seed: int, budget: Budget
) -> tuple[Rival | NotRun, ...]:
    trial = Trial(base.load(), base.max_tokens, base.micro_batch_tokens, train, test, seed, budget)

    def tried(name: str, run: Callable[[Trial], Rival]) -> Rival | NotRun:
        told = partial(base.on_answer, f"the {name}")
        return or_why_not(name, partial(run, replace(trial, on_rows=told)))

    return tried(PROBE, probe), tried(ZERO_SHOT, zero_shot), tried(FEW_SHOT, few_shot)


def or_why_not(name: str, run: Callable[[], Rival]) -> Rival | NotRun:
    """The rival, or why it is left out: whatever a rival meets, the model that was trained is judged."""
    try:
        found = run()
    except LeftOut as why:
        return NotRun(name, str(why))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return NotRun(name, "memory ran out")
    if not np.isfinite(found.probabilities).all():
        return NotRun(name, "its answers were no finite numbers")
    return found


def _why(error: LeftOut | UserError) -> str:
    if isinstance(error, UserError):
        return f"the base cannot be loaded: {error.problems[0].what}"
    return str(error)
