"""Arrays -> numbers: how good the answers are, and whether their probabilities can be believed.

The formulas are scikit-learn's (the tests hold them to it), written once over counts so that
a test set and thousands of resamples of it go through the same lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tunesmith.evaluation.types import Bin, Bools, Calibration, Floats, Interval, Ints

__all__ = [
    "NORMAL_975",
    "Counts",
    "averages",
    "calibration",
    "confusion",
    "count",
    "label_scores",
    "measure",
    "ratio",
    "reliability",
    "resampled_label_scores",
    "row_briers",
    "row_gaps",
    "row_losses",
    "wilson",
]

_BINS = 10
# of the normal distribution, 95 % lie within as many standard deviations
NORMAL_975 = 1.959964
"""The quantile of the standard normal distribution that a 95 % interval reaches to."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows per label, each array (..., labels): answered rightly, truly so labelled, answered so."""

    hits: Ints
    truth: Ints
    predicted: Ints


def measure(truth: Ints, probabilities: Floats) -> dict[str, float]:
    """Every score of a test: truth (rows,) are label ids, probabilities (rows, labels).

    accuracy; macro_, weighted_ and micro_ precision, recall and f1; log_loss; brier; ece.
    A macro score is the mean over the task's whole label list: a label that no test row has and
    that is never predicted counts as 0, for nothing shows that it works. With one label a row the
    micro scores equal accuracy. brier sums over the labels, so it lies between 0 and 2.
    """
    _assert_fit(truth, probabilities)
    counts = count(truth, probabilities.argmax(axis=1), probabilities.shape[1])
    believed = calibration(truth, probabilities)
    return {name: float(value) for name, value in averages(label_scores(counts), counts).items()} | {
        "log_loss": float(row_losses(truth, probabilities).mean()),
        "brier": believed.brier,
        "ece": believed.ece,
    }


def _assert_fit(truth: Ints, probabilities: Floats) -> None:
    assert probabilities.ndim == 2, "probabilities are (rows, labels)"
    assert truth.shape == probabilities.shape[:1], "one label id a row"
    assert len(truth), "at least one test row is needed"
    assert truth.min() >= 0, "a label id is negative"
    assert truth.max() < probabilities.shape[1], "a label id is beyond the labels"
    assert np.isfinite(probabilities).all(), "a probability is not a number"
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-2), "probabilities of a row sum to 1"


def count(truth: Ints, predicted: Ints, labels: int) -> Counts:
    """Rows per label of truth (rows,) and predicted (rows,)."""
    hits = truth[truth == predicted]
    return Counts(*(np.bincount(ids, minlength=labels) for ids in (hits, truth, predicted)))


def confusion(truth: Ints, predicted: Ints, labels: int) -> Ints:
    """Rows by true label (axis 0) and predicted label (axis 1)."""
    cells = np.bincount(truth.astype(np.int64) * labels + predicted, minlength=labels * labels)
    return cells.reshape(labels, labels)


def label_scores(counts: Counts) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each label (..., labels), 0 where they would divide by zero."""
    return (
        ratio(counts.hits, counts.predicted),
        ratio(counts.hits, counts.truth),
        ratio(2 * counts.hits, counts.truth + counts.predicted),
    )


def resampled_label_scores(counts: Counts, whole: Counts) -> tuple[Floats, Floats, Floats]:
    """`label_scores` of resamples of the test that `whole` counts.

    Where no row of a resample speaks about a label, its score stays that of the whole test: a 0
    would push intervals of rare labels, and of macro means, down; leaving it out moves them too.
    """
    drawn, kept = label_scores(counts), label_scores(whole)
    needed = (counts.predicted, counts.truth, counts.truth + counts.predicted)
    precision, recall, f1 = (np.where(needed[i] > 0, drawn[i], kept[i]) for i in range(3))
    return precision, recall, f1


def averages(per_label: tuple[Floats, Floats, Floats], counts: Counts) -> dict[str, Floats]:
    """Accuracy and the macro_, weighted_ and micro_ means of label scores, each (...,)."""
    rows = counts.truth.sum(axis=-1)
    accuracy = ratio(counts.hits.sum(axis=-1), rows)
    found = {"accuracy": accuracy}
    for name, values in zip(("precision", "recall", "f1"), per_label, strict=True):
        found[f"macro_{name}"] = values.mean(axis=-1)
        found[f"weighted_{name}"] = ratio((values * counts.truth).sum(axis=-1), rows)
        found[f"micro_{name}"] = accuracy
    return found


def ratio(part: Ints | Floats, whole: Ints) -> Floats:
    """`part` / `whole`, 0 where that would divide by zero."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


def row_losses(truth: Ints, probabilities: Floats) -> Floats:
    """Minus the log of the true label's probability, (rows,), finite even where that is 0."""
    of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    losses: Floats = -np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1.0))
    return losses


def calibration(truth: Ints, probabilities: Floats) -> Calibration:
    """Ten equal bins of the highest probability; ece: their mean gap from accuracy, by rows."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    bins, ece = reliability(confidence, right)
    return Calibration(bins, ece, float(row_briers(truth, probabilities).mean()))


def reliability(confidence: Floats, right: Bools) -> tuple[tuple[Bin, ...], float]:
    """Ten equal bins of `confidence` with the share that was `right`, both (answers,); their mean gap."""
    edges, place = np.linspace(0, 1, _BINS + 1), _place(confidence)
    bins = tuple(
        _bin(edges[index], edges[index + 1], confidence[place == index], right[place == index])
        for index in range(_BINS)
    )
    gap = sum(found.rows * abs(found.confidence - found.accuracy) for found in bins)
    return bins, gap / len(confidence)


def _place(confidence: Floats) -> Ints:
    edges = np.linspace(0, 1, _BINS + 1)
    place: Ints = np.clip(np.digitize(confidence, edges[1:-1], right=True), 0, _BINS - 1)
    return place


def row_gaps(confidence: Floats, right: Bools) -> Floats:
    """(rows, bins) how far each row's answers are too sure, summed; both are (rows,) or (rows, answers)."""
    rows = len(confidence)
    place = _place(confidence).reshape(rows, -1) + _BINS * np.arange(rows)[:, None]
    excess = (confidence - right).reshape(rows, -1)
    summed = np.bincount(place.ravel(), weights=excess.ravel(), minlength=rows * _BINS)
    return np.asarray(summed, np.float64).reshape(rows, _BINS)


def _bin(low: float, high: float, confidence: Floats, right: np.ndarray) -> Bin:
    if not len(confidence):
        return Bin(round(low, 6), round(high, 6), 0, 0.0, 0.0)
    accuracy = float(right.mean())
    interval = wilson(accuracy, len(right))
    return Bin(round(low, 6), round(high, 6), len(right), float(confidence.mean()), accuracy, interval)


def wilson(share: float, rows: int, z: float = NORMAL_975) -> Interval:
    """The interval of a share of rows, 95 %; it holds where they are few, which a bootstrap of them does not.

    `z` is the standard normal's quantile of another level.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    spread = z**2 / rows
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / rows + spread / (4 * rows)) / (1 + spread)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def row_briers(truth: Ints, probabilities: Floats) -> Floats:
    """The squared error of each row's probabilities, (rows,)."""
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(truth)), truth] -= 1
    squared: Floats = np.square(errors).sum(axis=1)
    return squared
