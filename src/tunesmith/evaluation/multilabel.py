"""Arrays -> numbers where a row may have several labels; truth, given and probabilities are (rows, labels).

The formulas are scikit-learn's (the tests hold them to it), written over counts as in `metrics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tunesmith.evaluation.intervals import RESAMPLES, Resampled, collected, count_ids, draw, ece_of
from tunesmith.evaluation.metrics import (
    Counts,
    label_scores,
    ratio,
    reliability,
    resampled_label_scores,
    row_gaps,
)
from tunesmith.evaluation.types import Bools, Calibration, Floats

__all__ = ["calibrate_labels", "count_labels", "measure_labels", "resample_labels"]


def measure_labels(truth: Bools, probabilities: Floats, given: Bools) -> dict[str, float]:
    """Every score of a multi-label test.

    macro_, weighted_ and micro_ precision, recall and f1; example_f1, the mean over rows; subset_accuracy,
    the share of rows with exactly the right labels; hamming_loss, the share of wrong decisions; log_loss and
    brier, means over rows and labels; ece. A row that has no label and is given none is right in all of them.
    A label that no row has and none is given counts as 0 in macro scores: nothing shows that it works.
    """
    assert truth.shape == probabilities.shape == given.shape, "all are (rows, labels)"
    assert len(truth), "at least one test row is needed"
    assert np.isfinite(probabilities).all(), "a probability is not a number"
    counts = count_labels(truth, given)
    means = _averages(label_scores(counts), counts)
    rows = _row_scores(truth, probabilities, given)
    believed = calibrate_labels(truth, probabilities)
    return {name: float(value) for name, value in means.items()} | {
        **{name: float(values.mean()) for name, values in rows.items()},
        "brier": believed.brier,
        "ece": believed.ece,
    }


def count_labels(truth: Bools, given: Bools) -> Counts:
    """Rows per label: given rightly, truly so labelled, given."""
    return Counts(*((each.sum(axis=0, dtype=np.int64)) for each in (truth & given, truth, given)))


def _averages(per_label: tuple[Floats, Floats, Floats], counts: Counts) -> dict[str, Floats]:
    """The macro_, weighted_ and micro_ means of label scores (..., labels), each (...,)."""
    pairs = Counts(*(each.sum(axis=-1) for each in (counts.hits, counts.truth, counts.predicted)))
    found = {}
    named = zip(("precision", "recall", "f1"), per_label, label_scores(pairs), strict=True)
    for name, values, micro in named:
        found[f"macro_{name}"] = values.mean(axis=-1)
        found[f"weighted_{name}"] = ratio((values * counts.truth).sum(axis=-1), pairs.truth)
        found[f"micro_{name}"] = micro
    return found


def _row_scores(truth: Bools, probabilities: Floats, given: Bools) -> dict[str, Floats]:
    """The scores that are means over rows: (rows,) each."""
    both, either = (truth & given).sum(axis=1), truth.sum(axis=1) + given.sum(axis=1)
    wrong = truth != given
    return {
        "example_f1": np.where(either == 0, 1.0, ratio(2 * both, either)),
        "subset_accuracy": (~wrong.any(axis=1)).astype(np.float64),
        "hamming_loss": wrong.mean(axis=1),
        "log_loss": _losses(truth, probabilities).mean(axis=1),
    }


def _losses(truth: Bools, probabilities: Floats) -> Floats:
    """Minus the log of the probability of the truth, (rows, labels), finite even where that is 0."""
    of_truth = np.where(truth, probabilities, 1 - probabilities)
    losses: Floats = -np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1.0))
    return losses


def calibrate_labels(truth: Bools, probabilities: Floats) -> Calibration:
    """Whether the probabilities of all pairs of row and label hold."""
    bins, ece = reliability(probabilities.ravel(), truth.ravel())
    return Calibration(bins, ece, float(np.square(probabilities - truth).mean()))


def resample_labels(
    truth: Bools, probabilities: Floats, given: Bools, *, seed: int, resamples: int = RESAMPLES
) -> Resampled:
    """Score every resample of the test rows."""
    rows, labels = truth.shape
    whole = count_labels(truth, given)
    of_rows = _row_scores(truth, probabilities, given)
    of_rows["brier"] = np.square(probabilities - truth).mean(axis=1)
    gaps = row_gaps(probabilities.astype(np.float64), truth)
    sparse = [_sparse(each) for each in (truth & given, truth, given)]
    scores, per_label = [], []
    for draws in draw(rows, max(rows, labels), seed, resamples):
        drawn = count_ids(np.arange(rows), draws, rows)  # (resamples, rows): how often each row was drawn
        counts = Counts(*((each @ drawn.T).T for each in sparse))
        found = resampled_label_scores(counts, whole)
        row_means = {name: drawn @ values / rows for name, values in of_rows.items()}
        ece = {"ece": ece_of(drawn.astype(np.float64), gaps, rows * labels)}
        scores.append(_averages(found, counts) | row_means | ece)
        per_label.append(found)
    return collected(scores, per_label, whole)


def _sparse(marks: Bools) -> Any:
    """The marks as (labels, rows) that cost by what is set: most rows have few of many labels."""
    from scipy.sparse import csr_array

    return csr_array(marks.T.astype(np.int64))
