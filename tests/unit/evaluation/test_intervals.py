"""The bootstrap: right against a plain one, paired, seeded, and bounded in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.unit.evaluation.conftest import answers
from tunesmith.evaluation.intervals import (
    difference,
    intervals,
    label_differences,
    label_intervals,
    resample,
)
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.types import Difference, Interval

INTERVALS = {"accuracy", "log_loss", "brier", "ece"} | {
    f"{mean}_{score}" for mean in ("macro", "weighted", "micro") for score in ("precision", "recall", "f1")
}


def test_it_equals_a_plain_bootstrap() -> None:
    truth = np.arange(120) % 3
    probabilities = answers(truth, 3, seed=5)
    resampled = resample(truth, probabilities, seed=11, resamples=40)
    draws = np.random.default_rng(11).integers(120, size=(40, 120))
    plain = [measure(truth[rows], probabilities[rows]) for rows in draws]
    assert set(resampled.scores) == INTERVALS
    for name, values in resampled.scores.items():
        assert values.tolist() == pytest.approx([one[name] for one in plain]), name


def test_the_interval_of_accuracy_is_about_the_binomial_one() -> None:
    truth = np.zeros(2_000, dtype=np.int64)
    right = np.arange(2_000) % 5 > 0
    probabilities = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    found = intervals(resample(truth, probabilities, seed=0))["accuracy"]
    margin = 1.96 * np.sqrt(0.8 * 0.2 / 2_000)
    assert found.low == pytest.approx(0.8 - margin, abs=0.002)
    assert found.high == pytest.approx(0.8 + margin, abs=0.002)


def test_one_seed_gives_one_answer_and_another_seed_another() -> None:
    truth = np.arange(50) % 2
    probabilities = answers(truth, 2, seed=0)
    first, again, other = (intervals(resample(truth, probabilities, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_differences_are_paired() -> None:
    truth = np.arange(400) % 4
    weak = answers(truth, 4, seed=1)
    # the same answers but for the first forty rows, which the better one has right
    strong = weak.copy()
    strong[:40] = answers(truth[:40], 4, seed=1, skill=99)
    first, second = resample(truth, strong, seed=0), resample(truth, weak, seed=0)
    gain = measure(truth, strong)["accuracy"] - measure(truth, weak)["accuracy"]
    found = difference("accuracy", gain, first, second)
    assert found.low < found.value < found.high
    assert found.low > 0
    apart = intervals(first)["accuracy"]
    assert found.high - found.low < (apart.high - apart.low) / 1.5
    same = difference("macro_f1", 0.0, first, first)
    assert (same.low, same.high) == (0, 0)


def test_rare_labels_do_not_push_the_macro_mean_off() -> None:
    # ten labels of one row each, all right: most resamples lack some of them
    truth = np.concatenate([np.zeros(200, dtype=np.int64), np.arange(1, 11)])
    probabilities = np.eye(11)[truth]
    resampled = resample(truth, probabilities, seed=0)
    assert intervals(resampled)["macro_f1"].low == 1
    assert all((found.low, found.high) == (1, 1) for found in label_intervals(resampled))


def test_nothing_is_known_of_a_label_without_rows() -> None:
    truth = np.array([0, 1, 0, 1])
    found = label_intervals(resample(truth, np.eye(3)[truth], seed=0))
    assert (found[2].low, found[2].high) == (0, 1)


def test_a_label_only_ever_guessed_is_known_to_fail() -> None:
    found = label_intervals(resample(np.array([0, 0, 0]), np.eye(3)[[0, 0, 2]], seed=0))
    assert (found[2].low, found[2].high) == (0, 0)


def test_a_single_row_can_be_resampled() -> None:
    found = intervals(resample(np.array([1]), np.array([[0.2, 0.8]]), seed=0))
    assert (found["accuracy"].low, found["accuracy"].high) == (1, 1)


def test_memory_stays_bounded() -> None:
    truth = np.arange(7_600) % 4
    probabilities = answers(truth, 4, seed=0)
    tracemalloc.start()
    resampled = resample(truth, probabilities, seed=0)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert resampled.scores["accuracy"].shape == (2_000,)
    assert peak_bytes < 60_000_000


def test_precision_and_recall_of_each_label_have_intervals_too() -> None:
    truth = np.arange(90) % 3
    probabilities = answers(truth, 3, seed=5)
    resampled = resample(truth, probabilities, seed=11, resamples=50)
    draws = np.random.default_rng(11).integers(90, size=(50, 90))
    guessed = probabilities.argmax(axis=1)
    for label in range(3):
        recalls = [(guessed[rows] == label)[truth[rows] == label].mean() for rows in draws]
        precisions = [(truth[rows] == label)[guessed[rows] == label].mean() for rows in draws]
        for name, plain in (("recall", recalls), ("precision", precisions)):
            low, high = np.quantile(plain, (0.025, 0.975))
            found = label_intervals(resampled, name)[label]  # type: ignore[arg-type]
            assert (found.low, found.high) == pytest.approx((low, high)), name


def test_what_nobody_was_given_has_a_recall_and_no_known_precision() -> None:
    resampled = resample(np.array([0, 0, 1]), np.eye(2)[[0, 0, 0]], seed=0)
    assert label_intervals(resampled, "precision")[1] == Interval(0, 1)
    assert label_intervals(resampled, "recall")[1] == Interval(0, 0)


def test_an_interval_reaches_as_far_as_what_was_measured() -> None:
    resampled = resample(np.array([0, 1] * 20), np.full((40, 2), 0.5), seed=0)
    # as sure as it is right: whatever a resample adds is chance
    assert intervals(resampled)["ece"].low >= 0
    assert intervals(resampled, {"ece": 0.0})["ece"].low == 0


def test_differences_of_labels_are_paired() -> None:
    truth = np.arange(200) % 2
    one = resample(truth, answers(truth, 2, seed=1), seed=0)
    assert label_differences(np.zeros(2), one, one) == (Difference(0, 0, 0), Difference(0, 0, 0))
