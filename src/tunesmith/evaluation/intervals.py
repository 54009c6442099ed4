"""95 % percentile bootstrap intervals: how far a score would wander on other test rows of the same kind.

The draws depend on (rows, resamples, seed) alone, so two methods resampled with one seed are
paired: their difference is taken within each resample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunesmith.evaluation.metrics import Counts, averages, count, resampled_label_scores, row_losses
from tunesmith.evaluation.types import Difference, Floats, Interval, Ints

__all__ = [
    "RESAMPLES",
    "Resampled",
    "count_ids",
    "difference",
    "draw",
    "intervals",
    "label_intervals",
    "resample",
]

RESAMPLES = 2_000
_QUANTILES = (0.025, 0.975)
# bounds memory: resamples are drawn in chunks of at most this many numbers
_CHUNK_NUMBERS = 1 << 20


@dataclass(frozen=True, slots=True)
class Resampled:
    """Scores of one method in every resample: metric -> (resamples,); label_f1 is (resamples, labels).

    `unknown` (labels,) marks labels that no test row has and none was given.
    """

    scores: dict[str, Floats]
    label_f1: Floats
    unknown: npt.NDArray[np.bool_]


def resample(truth: Ints, probabilities: Floats, *, seed: int, resamples: int = RESAMPLES) -> Resampled:
    """Score every resample of the test rows; truth (rows,), probabilities (rows, labels)."""
    labels = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    whole = count(truth, predicted, labels)
    losses = row_losses(truth, probabilities)
    found, label_f1 = [], []
    for draws in draw(len(truth), max(len(truth), labels), seed, resamples):
        counts = _count_draws(truth, predicted, draws, labels)
        per_label = resampled_label_scores(counts, whole)
        found.append(averages(per_label, counts) | {"log_loss": losses[draws].mean(axis=1)})
        label_f1.append(per_label[-1])
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return Resampled(joined, np.concatenate(label_f1), whole.truth + whole.predicted == 0)


def draw(rows: int, width: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Ints]:
    """Row numbers of every resample, (resamples, rows), in chunks; `width` numbers are kept of each."""
    generator = np.random.default_rng(seed)
    size = max(1, _CHUNK_NUMBERS // width)
    for start in range(0, resamples, size):
        yield generator.integers(rows, size=(min(size, resamples - start), rows))


def _count_draws(truth: Ints, predicted: Ints, draws: Ints, labels: int) -> Counts:
    # a wrong answer is a hit of no label: it falls in one more bin, which is dropped
    hits = np.where(truth == predicted, truth, labels)
    return Counts(
        count_ids(hits, draws, labels + 1)[:, :labels],
        count_ids(truth, draws, labels),
        count_ids(predicted, draws, labels),
    )


def count_ids(ids: Ints, draws: Ints, bins: int) -> Ints:
    """How often each id, of (rows,), falls in each resample: (resamples, bins)."""
    offsets = np.arange(len(draws))[:, None] * bins
    drawn = ids.astype(np.int64)[draws] + offsets
    return np.bincount(drawn.ravel(), minlength=len(draws) * bins).reshape(len(draws), bins)


def intervals(resampled: Resampled) -> dict[str, Interval]:
    """metric -> its interval."""
    return {name: _interval(values) for name, values in resampled.scores.items()}


def label_intervals(resampled: Resampled) -> tuple[Interval, ...]:
    """The interval of each label's F1; from 0 to 1 where nothing is known of the label."""
    bounds = np.quantile(resampled.label_f1, _QUANTILES, axis=0).T.tolist()
    return tuple(
        Interval(0.0, 1.0) if unknown else Interval(low, high)
        for (low, high), unknown in zip(bounds, resampled.unknown, strict=True)
    )


def difference(metric: str, value: float, model: Resampled, rival: Resampled) -> Difference:
    """The paired interval around `value`, the model's score minus the rival's on the whole test."""
    within = _interval(model.scores[metric] - rival.scores[metric])
    return Difference(value, within.low, within.high)


def _interval(values: Floats) -> Interval:
    low, high = np.quantile(values, _QUANTILES)
    return Interval(float(low), float(high))
