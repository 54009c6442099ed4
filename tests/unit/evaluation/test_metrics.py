"""The numbers are scikit-learn's, and hold where it would stumble."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluation.conftest import answers
from tunesmith.evaluation.metrics import calibration, confusion, count, label_scores, measure


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 60), labels=st.integers(2, 8), seed=st.integers(0, 10_000))
def test_every_score_is_scikit_learns(rows: int, labels: int, seed: int) -> None:
    from sklearn import metrics as referee

    truth = np.random.default_rng(seed).integers(labels, size=rows)
    probabilities = answers(truth, labels, seed)
    predicted, every = probabilities.argmax(axis=1), list(range(labels))
    expected = {
        "accuracy": referee.accuracy_score(truth, predicted),
        "log_loss": referee.log_loss(truth, probabilities, labels=every),
        "brier": np.square(probabilities - np.eye(labels)[truth]).sum(axis=1).mean(),
    }
    for average in ("macro", "weighted", "micro"):
        found = referee.precision_recall_fscore_support(
            truth, predicted, labels=every, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), found, strict=False):
            expected[f"{average}_{name}"] = value
    measured = measure(truth, probabilities)
    assert set(measured) == set(expected) | {"ece"}
    assert {name: measured[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    table = confusion(truth, predicted, labels)
    assert table.tolist() == referee.confusion_matrix(truth, predicted, labels=every).tolist()


def test_scores_of_each_label_are_scikit_learns() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    truth, predicted = np.array([0, 0, 1, 1, 3]), np.array([0, 1, 1, 2, 1])
    expected = precision_recall_fscore_support(truth, predicted, labels=[0, 1, 2, 3, 4], zero_division=0)
    for mine, theirs in zip(label_scores(count(truth, predicted, 5)), expected, strict=False):
        assert mine.tolist() == pytest.approx(theirs.tolist())


def test_a_label_without_rows_counts_as_zero_and_is_no_nan() -> None:
    measured = measure(np.array([0, 1]), np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]))
    assert measured["accuracy"] == 1
    assert measured["weighted_f1"] == 1
    assert measured["macro_f1"] == pytest.approx(2 / 3)
    assert np.isfinite(list(measured.values())).all()


def test_a_probability_of_zero_for_the_truth_costs_much_but_not_infinitely() -> None:
    measured = measure(np.array([0]), np.array([[0.0, 1.0]]))
    assert 30 < measured["log_loss"] < 40
    assert measured["brier"] == 2


def test_half_precision_answers_are_measured_too() -> None:
    truth = np.array([0, 1, 1])
    measured = measure(truth, np.array([[0.7, 0.3], [0.4, 0.6], [0.6, 0.4]], dtype=np.float16))
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["log_loss"] == pytest.approx(0.5946, abs=1e-3)


def test_calibration_bins_hold_every_row_once() -> None:
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.5, 0.5], [0.6, 0.4], [0.0, 1.0], [0.95, 0.05]])
    found = calibration(truth, probabilities)
    assert [one.rows for one in found.bins] == [0, 0, 0, 0, 1, 1, 0, 0, 0, 2]
    assert found.bins[4].high == 0.5
    assert found.bins[9].accuracy == 0.5
    assert found.bins[0].confidence == 0
    assert found.ece == pytest.approx((0.5 + 0.4 + 2 * (0.975 - 0.5)) / 4)


def test_a_calibrated_model_has_no_calibration_error() -> None:
    truth = np.array([0, 0, 0, 1])
    assert measure(truth, np.tile([0.75, 0.25], (4, 1)))["ece"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("truth", "probabilities"),
    [
        ([], np.zeros((0, 2))),
        ([0], np.array([0.5, 0.5])),
        ([0, 1], np.array([[0.5, 0.5]])),
        ([2], np.array([[0.5, 0.5]])),
        ([-1], np.array([[0.5, 0.5]])),
        ([0], np.array([[np.nan, 0.5]])),
        ([0], np.array([[3.0, -4.0]])),
    ],
)
def test_what_no_caller_may_pass_is_our_bug(truth: list[int], probabilities: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        measure(np.array(truth, dtype=np.int64), probabilities)


def test_shares_of_right_answers_by_probability_have_wilson_intervals() -> None:
    # eight of ten right, all sure by 0.85: by hand (0.8 + 0.19207) / 1.38415 ± 0.22640
    truth = np.array([0] * 8 + [1] * 2)
    found = calibration(truth, np.tile([0.85, 0.15], (10, 1))).bins[8]
    assert found.rows == 10
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.49016, 0.94331), abs=1e-4)
    assert calibration(truth, np.tile([0.85, 0.15], (10, 1))).bins[0].interval is None
