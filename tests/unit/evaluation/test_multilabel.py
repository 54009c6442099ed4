"""Multi-label scores are scikit-learn's, and their intervals are paired."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as referee

from tunesmith.evaluation.intervals import difference, intervals, label_intervals
from tunesmith.evaluation.multilabel import calibrate_labels, measure_labels, resample_labels


def answers(rows: int = 120, seed: int = 0, skill: float = 0.5) -> tuple[Any, Any, Any]:
    """Truth, probabilities and labels given: four labels, of which the last is in no row."""
    draw = np.random.default_rng(seed)
    truth = np.random.default_rng(1).random((rows, 4)) < (0.6, 0.3, 0.1, 0.0)
    probabilities = skill * truth + (1 - skill) * draw.random((rows, 4))
    return truth, probabilities, probabilities >= (0.5, 0.5, 0.4, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    truth, probabilities, given = answers(seed=seed)
    found = measure_labels(truth, probabilities, given)
    for average in ("micro", "macro", "weighted"):
        for name in ("precision", "recall", "f1"):
            score = getattr(referee, f"{name}_score")
            expected = score(truth, given, average=average, zero_division=0.0)
            assert found[f"{average}_{name}"] == pytest.approx(expected)
    assert found["example_f1"] == pytest.approx(
        referee.f1_score(truth, given, average="samples", zero_division=1.0)
    )
    assert found["subset_accuracy"] == pytest.approx(referee.accuracy_score(truth, given))
    assert found["hamming_loss"] == pytest.approx(referee.hamming_loss(truth, given))
    assert found["log_loss"] == pytest.approx(
        np.mean([referee.log_loss(truth[:, i], probabilities[:, i], labels=[0, 1]) for i in range(4)])
    )
    assert found["brier"] == pytest.approx(np.square(truth - probabilities).mean())


def test_no_label_given_to_a_row_without_one_is_right() -> None:
    nothing = np.zeros((3, 2), np.bool_)
    found = measure_labels(nothing, np.full((3, 2), 0.1), nothing)
    assert (found["example_f1"], found["subset_accuracy"], found["hamming_loss"]) == (1, 1, 0)
    assert found["macro_f1"] == found["micro_f1"] == 0


def test_sure_and_wrong_costs_much_but_not_everything() -> None:
    truth = np.array([[True, False]])
    assert np.isfinite(measure_labels(truth, 1.0 - truth, ~truth)["log_loss"])


def test_calibration_looks_at_every_decision() -> None:
    truth, probabilities, _ = answers()
    found = calibrate_labels(truth, probabilities)
    assert sum(each.rows for each in found.bins) == truth.size
    honest = np.random.default_rng(0).random((4000, 3))
    truth = np.random.default_rng(1).random((4000, 3)) < honest
    assert calibrate_labels(truth, honest).ece < 0.02


def test_resamples_score_as_the_rows_they_drew() -> None:
    truth, probabilities, given = answers(rows=40)
    resampled = resample_labels(truth, probabilities, given, seed=3, resamples=50)
    draws = np.random.default_rng(3).integers(40, size=(50, 40))
    for index in (0, 7, 49):
        rows = draws[index]
        expected = measure_labels(truth[rows], probabilities[rows], given[rows])
        for name in ("micro_f1", "example_f1", "subset_accuracy", "hamming_loss", "log_loss"):
            assert resampled.scores[name][index] == pytest.approx(expected[name])


def test_intervals_hold_the_score_and_know_what_they_do_not_know() -> None:
    truth, probabilities, given = answers()
    found = measure_labels(truth, probabilities, given)
    resampled = resample_labels(truth, probabilities, given, seed=0)
    for name, interval in intervals(resampled).items():
        assert interval.low <= found[name] <= interval.high
    assert (label_intervals(resampled)[3].low, label_intervals(resampled)[3].high) == (0.0, 1.0)


def test_differences_are_paired() -> None:
    same = [resample_labels(*answers(), seed=5) for _ in range(2)]
    found = difference("macro_f1", 0.0, *same)
    assert (found.low, found.high) == (0.0, 0.0)
