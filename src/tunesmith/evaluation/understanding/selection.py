"""How right the surest answers are: accuracy against coverage, and from which confidence on to answer.

Sources: Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, 2017; the area is that of
Geifman, Uziel & El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tunesmith.evaluation.types import Bools, Floats
from tunesmith.evaluation.understanding.proportions import share
from tunesmith.evaluation.understanding.types import CoveragePoint, Reached, Selection
from tunesmith.model.selection import Goal, fit_goals

__all__ = ["select"]

_MOST_POINTS = 100


def select(confidence: Floats, right: Bools, goals: Sequence[Goal] = ()) -> Selection:
    """The selection curve of rows, both (rows,); `goals` were fitted on validation rows.

    Without them, goals are fitted on these very rows, and only describe them.
    """
    fitted_on: Literal["validation", "test"] = "validation" if goals else "test"
    wrong = _wrong_among_surest(confidence, right)
    rows = np.arange(1, len(right) + 1)
    mistakes = int(wrong[-1])
    return Selection(
        points=_points(confidence, wrong),
        aurc=float((wrong / rows).mean()),
        best_aurc=float((np.maximum(0, rows - (len(right) - mistakes)) / rows).mean()),
        chance_aurc=mistakes / len(right),
        goals=tuple(
            _reached(goal, fitted_on, confidence, right) for goal in goals or fit_goals(confidence, right)
        ),
    )


def _wrong_among_surest(confidence: Floats, right: Bools) -> Floats:
    """(rows,) mistakes among the surest 1, 2, 3, … rows; of equally sure ones, the mean over their orders."""
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    wrong = np.cumsum(~right[order])
    ends = np.append(np.flatnonzero(falling[1:] < falling[:-1]), len(falling) - 1)
    spread: Floats = np.interp(
        np.arange(1, len(falling) + 1), np.append(0, ends + 1), np.append(0, wrong[ends])
    )
    return spread


def _points(confidence: Floats, wrong: Floats) -> tuple[CoveragePoint, ...]:
    """The curve at steps of coverage, at most a hundred."""
    rows = len(wrong)
    falling = -np.sort(-confidence)
    counts = np.unique(np.ceil(np.linspace(0, 1, min(rows, _MOST_POINTS) + 1)[1:] * rows - 1e-9).astype(int))
    return tuple(
        CoveragePoint(count / rows, 1 - float(wrong[count - 1]) / count, float(falling[count - 1]))
        for count in counts.tolist()
    )


def _reached(
    goal: Goal, fitted_on: Literal["validation", "test"], confidence: Floats, right: Bools
) -> Reached:
    if goal.min_confidence is None:
        return Reached(goal.accuracy, fitted_on, None, None, None)
    answered = confidence >= goal.min_confidence
    rows = int(answered.sum())
    accuracy = share(int(right[answered].sum()), rows) if rows else None
    return Reached(goal.accuracy, fitted_on, goal.min_confidence, rows / len(right), accuracy)
