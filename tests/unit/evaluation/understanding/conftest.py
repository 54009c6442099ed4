"""Answers by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.evaluation.understanding.answers import Answers, answers_of
from tunesmith.model.thresholds import Thresholds

LABELS = ("a", "b", "c")


def single(truth: Sequence[int], predicted: Sequence[int], sureness: float = 0.8) -> Answers:
    """Answers with one label each, all equally sure."""
    probabilities = np.full((len(truth), len(LABELS)), (1 - sureness) / (len(LABELS) - 1))
    probabilities[np.arange(len(truth)), predicted] = sureness
    return answers_of(LABELS, np.array(truth), probabilities, None)


def several(truth: Sequence[Sequence[int]], probabilities: Sequence[Sequence[float]]) -> Answers:
    """Answers with any number of labels, given from one half on."""
    thresholds = Thresholds.unfitted(len(LABELS))
    return answers_of(LABELS, np.array(truth, bool), np.array(probabilities), thresholds)
