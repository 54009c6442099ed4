"""From which confidence on answers are as right as is wanted: fitted on validation rows.

Source: Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, 2017. Their bound for unseen
rows is not used: what a goal comes to on the test rows is measured, with its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GOALS", "Goal", "fit_goals"]

GOALS = (0.9, 0.95, 0.99)
"""The shares of right answers that a report looks for."""
# fewer rows say nothing of a share such as 0.95
_FEWEST_ROWS = 20
# people type what they read: a threshold has so many decimals
_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Goal:
    """The share of right answers that is wanted, and the least confidence that gives it, where one does."""

    accuracy: float
    min_confidence: float | None


def fit_goals(
    confidence: npt.NDArray[np.floating[Any]],
    right: npt.NDArray[np.bool_],
    goals: Sequence[float] = GOALS,
) -> tuple[Goal, ...]:
    """The lowest confidence, in steps of 0.0001, above which enough answers are right; both are (rows,)."""
    order = np.argsort(confidence, kind="stable")
    rising = confidence[order]
    hits = np.concatenate([np.cumsum(right[order][::-1])[::-1], [0]])  # right answers from each row on
    steps = np.arange(_STEPS + 1) / _STEPS
    first = np.searchsorted(rising, steps, side="left")
    rows = len(rising) - first
    share = hits[first] / np.maximum(rows, 1)
    return tuple(Goal(goal, _lowest(steps, (share >= goal) & (rows >= _FEWEST_ROWS))) for goal in goals)


def _lowest(steps: npt.NDArray[np.floating[Any]], fits: npt.NDArray[np.bool_]) -> float | None:
    return float(steps[int(np.argmax(fits))]) if fits.any() else None
