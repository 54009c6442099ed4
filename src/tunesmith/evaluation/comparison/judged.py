"""The answers of one run -> its scores, and those of thousands of resamples that other runs share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunesmith.evaluation.intervals import Resampled, resample, resample_means
from tunesmith.evaluation.metrics import Counts, count, label_scores, measure
from tunesmith.evaluation.multilabel import count_labels, measure_labels, resample_labels
from tunesmith.evaluation.predictions import Predictions
from tunesmith.evaluation.types import Floats

__all__ = ["Judged", "judged"]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What one run scores; `counts` are the rows of each label, None where answers are written."""

    metrics: dict[str, float]
    resampled: Resampled
    counts: Counts | None

    @property
    def label_f1(self) -> Floats:
        """(labels,) on the whole test."""
        return np.zeros(0) if self.counts is None else label_scores(self.counts)[-1]


def judged(found: Predictions, seed: int) -> Judged:
    """Measure what was answered; the draws depend on rows and seed alone, so that runs are paired."""
    if found.scores:
        return _written(found, seed)
    assert found.probabilities is not None, "labels have probabilities"
    if found.given is not None:
        answers = (found.truth, found.probabilities, found.given)
        counts = count_labels(found.truth, found.given)
        return Judged(measure_labels(*answers), resample_labels(*answers, seed=seed), counts)
    counts = count(found.truth, np.asarray(found.answers), len(found.labels))
    metrics = measure(found.truth, found.probabilities)
    return Judged(metrics, resample(found.truth, found.probabilities, seed=seed), counts)


def _written(found: Predictions, seed: int) -> Judged:
    metrics = {name: float(values.mean()) for name, values in found.scores.items()}
    return Judged(metrics, resample_means(found.scores, seed=seed), None)
