"""95 % percentile bootstrap intervals: how far a score would wander on other test rows of the same kind.

The draws depend on (rows, resamples, seed) alone, so two methods resampled with one seed are
paired: their difference is taken within each resample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunesmith.evaluation.metrics import (
    Counts,
    averages,
    count,
    resampled_label_scores,
    row_briers,
    row_gaps,
    row_losses,
)
from tunesmith.evaluation.types import Bools, Difference, Floats, Interval, Ints

__all__ = [
    "RESAMPLES",
    "LabelScoreName",
    "Resampled",
    "collected",
    "count_ids",
    "difference",
    "draw",
    "ece_of",
    "intervals",
    "label_differences",
    "label_intervals",
    "resample",
    "resample_means",
]

RESAMPLES = 2_000
LabelScoreName = Literal["precision", "recall", "f1"]
_LABEL_SCORES: tuple[LabelScoreName, ...] = ("precision", "recall", "f1")
_QUANTILES = (0.025, 0.975)
# bounds memory: resamples are drawn in chunks of at most this many numbers
_CHUNK_NUMBERS = 1 << 20


@dataclass(frozen=True, slots=True)
class Resampled:
    """Scores of one method in every resample: metric -> (resamples,).

    `labels` has precision, recall and F1 of each label, (resamples, labels); `unknown` (labels,) marks the
    labels about whose score no test row says anything.
    """

    scores: dict[str, Floats]
    labels: dict[LabelScoreName, Floats]
    unknown: dict[LabelScoreName, Bools]


def collected(
    scores: Sequence[Mapping[str, Floats]],
    labels: Sequence[tuple[Floats, Floats, Floats]],
    whole: Counts | None,
) -> Resampled:
    """What was found chunk by chunk, as one; `whole` counts the test rows of each label, if there are any."""
    joined = {name: np.concatenate([part[name] for part in scores]) for name in scores[0]}
    if whole is None:
        return Resampled(joined, {}, {})
    needed = (whole.predicted, whole.truth, whole.truth + whole.predicted)
    return Resampled(
        joined,
        {name: np.concatenate([part[at] for part in labels]) for at, name in enumerate(_LABEL_SCORES)},
        {name: counts == 0 for name, counts in zip(_LABEL_SCORES, needed, strict=True)},
    )


def resample(truth: Ints, probabilities: Floats, *, seed: int, resamples: int = RESAMPLES) -> Resampled:
    """Score every resample of the test rows; truth (rows,), probabilities (rows, labels)."""
    rows, labels = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    whole = count(truth, predicted, labels)
    means = np.column_stack([row_losses(truth, probabilities), row_briers(truth, probabilities)])
    gaps = row_gaps(probabilities.max(axis=1).astype(np.float64), predicted == truth)
    scores, per_label = [], []
    for draws in draw(rows, max(rows, labels), seed, resamples):
        counts = _count_draws(truth, predicted, draws, labels)
        found = resampled_label_scores(counts, whole)
        times = count_ids(np.arange(rows), draws, rows).astype(np.float64)
        log_loss, brier = (times @ means / rows).T
        believed = {"log_loss": log_loss, "brier": brier, "ece": ece_of(times, gaps, rows)}
        scores.append(averages(found, counts) | believed)
        per_label.append(found)
    return collected(scores, per_label, whole)


def resample_means(values: Mapping[str, Floats], *, seed: int) -> Resampled:
    """The means of every resample of what each row scores: name -> (rows,)."""
    columns = np.column_stack(list(values.values()))  # (rows, scores)
    rows, parts = len(columns), []
    for draws in draw(rows, rows, seed):
        means = count_ids(np.arange(rows), draws, rows) @ columns / rows
        parts.append(dict(zip(values, means.T, strict=True)))
    return collected(parts, [], None)


def ece_of(times: Floats, gaps: Floats, answers: int) -> Floats:
    """The calibration error of each resample: `times` (resamples, rows) drawn, `gaps` (rows, bins) summed."""
    error: Floats = np.abs(times @ gaps).sum(axis=1) / answers
    return error


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


def intervals(resampled: Resampled, measured: Mapping[str, float] | None = None) -> dict[str, Interval]:
    """metric -> its interval; it reaches as far as what was `measured`, where that lies outside.

    That may be so of a calibration error near 0: chance in a resample can only add to it.
    """
    found = {name: _interval(values) for name, values in resampled.scores.items()}
    for name in found.keys() & (measured or {}).keys():
        value = (measured or {})[name]
        found[name] = Interval(min(found[name].low, value), max(found[name].high, value))
    return found


def label_intervals(resampled: Resampled, score: LabelScoreName = "f1") -> tuple[Interval, ...]:
    """The interval of each label's score; from 0 to 1 where nothing is known of the label."""
    if score not in resampled.labels:
        return ()
    bounds = np.quantile(resampled.labels[score], _QUANTILES, axis=0).T.tolist()
    return tuple(
        Interval(0.0, 1.0) if unknown else Interval(low, high)
        for (low, high), unknown in zip(bounds, resampled.unknown[score], strict=True)
    )


def difference(metric: str, value: float, model: Resampled, rival: Resampled) -> Difference:
    """The paired interval around `value`, the model's score minus the rival's on the whole test."""
    within = _interval(model.scores[metric] - rival.scores[metric])
    return Difference(value, within.low, within.high)


def label_differences(values: Floats, model: Resampled, other: Resampled) -> tuple[Difference, ...]:
    """The paired interval around each label's difference in F1; `values` (labels,) are on the whole test."""
    apart = model.labels["f1"] - other.labels["f1"]
    bounds = np.quantile(apart, _QUANTILES, axis=0).T.tolist()
    return tuple(
        Difference(value, low, high) for value, (low, high) in zip(values.tolist(), bounds, strict=True)
    )


def _interval(values: Floats) -> Interval:
    low, high = np.quantile(values, _QUANTILES)
    return Interval(float(low), float(high))
