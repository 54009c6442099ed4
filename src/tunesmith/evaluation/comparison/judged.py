"""The answers of one run -> its scores, and those of thousands of resamples that other runs share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunesmith.evaluation.intervals import Resampled, collected, count_ids, draw, resample
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
    rows, names = len(found), list(found.scores)
    values = np.column_stack([found.scores[name] for name in names])
    parts = []
    for draws in draw(rows, rows, seed):
        means = count_ids(np.arange(rows), draws, rows) @ values / rows
        parts.append(dict(zip(names, means.T, strict=True)))
    metrics = {name: float(mean) for name, mean in zip(names, values.mean(axis=0), strict=True)}
    return Judged(metrics, collected(parts, [], None), None)
