"""The rivals are strong, honest, repeatable, and survive poor data."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.rival import MAJORITY, TFIDF, Rival
from tunesmith.evaluation.rivals import run_rivals
from tunesmith.task import Task

WORDS = {"sport": ("goal", "match", "coach"), "politics": ("vote", "law", "senate"), "food": ("soup", "salt")}


def topics(counts: dict[str, int], seed: int = 0, labels: tuple[str, ...] = tuple(WORDS)) -> Dataset:
    generator = np.random.default_rng(seed)
    rows = [(label, index) for label, count in counts.items() for index in range(count)]
    texts = [f"the {generator.choice(WORDS[label])} of day {generator.integers(50)}" for label, _ in rows]
    return dataset_of(Task(labels=labels), texts, [label for label, _ in rows])


def made_of(texts: list[str], targets: list[str], labels: tuple[str, ...] = ("a", "b")) -> Dataset:
    return dataset_of(Task(labels=labels), texts, targets)


def ran(train: Dataset, test: Dataset, seed: int, **how: Any) -> list[Rival]:
    """The rivals that were run: without a budget, all."""
    found = run_rivals(train, test, seed, **how)
    return [rival for rival in found if isinstance(rival, Rival)]


def test_words_beat_the_majority() -> None:
    train, test = topics({"sport": 40, "politics": 30, "food": 30}), topics({"sport": 9, "food": 9}, seed=1)
    majority, tfidf, *_ = ran(train, test, seed=0)
    assert (majority.name, tfidf.name) == (MAJORITY, TFIDF)
    truth = np.asarray(test.label_ids)
    assert measure(truth, majority.probabilities)["accuracy"] == 0.5
    assert measure(truth, tfidf.probabilities)["accuracy"] == 1.0
    assert "C = " in tfidf.how


def test_a_seed_decides_everything() -> None:
    train, test = topics({"sport": 30, "politics": 9}), topics({"sport": 5, "politics": 5}, seed=1)
    first, again = (ran(train, test, seed=3) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert one.how == other.how
        assert one.probabilities.tolist() == other.probabilities.tolist()


def test_the_majority_gives_label_shares_and_leaves_nothing_impossible() -> None:
    train = topics({"sport": 6, "politics": 1})
    majority = ran(train, train, seed=0)[0]
    assert majority.probabilities[0].tolist() == pytest.approx([0.7, 0.2, 0.1])


def test_a_label_that_training_lacks_gets_its_column_all_the_same() -> None:
    train, test = topics({"sport": 20, "politics": 20}), topics({"food": 4}, seed=1)
    for rival in ran(train, test, seed=0):
        assert rival.probabilities.shape == (4, 3)
        assert rival.probabilities.sum(axis=1) == pytest.approx(np.ones(4))


@pytest.mark.parametrize(
    ("texts", "targets"),
    [
        (["one", "two", "three"], ["a", "a", "a"]),
        (["", "  ", "\n\t"], ["a", "a", "b"]),
    ],
    ids=["one-label", "no-words"],
)
def test_with_nothing_to_learn_it_answers_as_the_majority(texts: list[str], targets: list[str]) -> None:
    data = made_of(texts, targets)
    majority, tfidf, *_ = ran(data, data, seed=0)
    assert tfidf.probabilities.tolist() == majority.probabilities.tolist()
    assert "nothing to learn" in tfidf.how


@pytest.mark.parametrize(
    ("texts", "targets"),
    [
        (["x", "y"], ["a", "b"]),
        (["?", "!", "😀", "…", "?!"], ["a", "b", "a", "b", "a"]),
        (["same"] * 12, ["a", "b"] * 6),
        (["b only once", *("a row" for _ in range(30))], ["b", *("a" for _ in range(30))]),
        (["你好世界", "再见", "你好", "再见了"] * 3, ["a", "b", "a", "b"] * 3),
    ],
    ids=["two-rows", "marks", "contradictions", "one-of-b", "no-spaces"],
)
def test_poor_data_is_no_fault(texts: list[str], targets: list[str]) -> None:
    data = made_of(texts, targets)
    tfidf = ran(data, data, seed=0)[1]
    assert np.isfinite(tfidf.probabilities).all()
    assert tfidf.probabilities.sum(axis=1) == pytest.approx(np.ones(len(texts)))


def test_skewed_labels_may_be_weighted() -> None:
    # a word that most of the rare label's texts have, and still more texts of the other
    generator = np.random.default_rng(0)
    targets = ["a"] * 180 + ["b"] * 20
    marked = generator.random(200) < np.where(np.arange(200) < 180, 0.1, 0.6)
    texts = [f"{'mark' if mark else ''} {generator.choice(['u', 'v', 'w'])}" for mark in marked]
    data = made_of(texts, targets)
    tfidf = ran(data, data, seed=0)[1]
    predicted = tfidf.probabilities.argmax(axis=1)
    assert (predicted == 1).any()
    assert "inverse frequency" in tfidf.how


def test_costs_come_from_the_clock() -> None:
    train, test = topics({"sport": 10, "politics": 10}), topics({"sport": 2, "politics": 2}, seed=1)
    ticking = itertools.count(start=0, step=2)
    for rival in ran(train, test, seed=0, clock=lambda: float(next(ticking))):
        assert rival.train_seconds == 2
        assert rival.milliseconds_per_text == 500


def test_train_and_test_of_different_tasks_are_our_bug() -> None:
    with pytest.raises(AssertionError):
        ran(made_of(["x", "y"], ["a", "b"]), made_of(["x"], ["b"], labels=("b", "a")), seed=0)
