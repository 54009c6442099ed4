"""Mistakes of one kind together, and the words that tell them from right answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.evaluation.understanding.conftest import LABELS, several, single
from tunesmith.data.dataset import dataset_of
from tunesmith.evaluation.metrics import confusion
from tunesmith.evaluation.understanding.groups import group_mistakes, telling_words
from tunesmith.task import Task


def test_z_is_monroes() -> None:
    (word,) = telling_words(["ballot goal"] * 10, ["goal match"] * 10)
    # each side counts 20 words, and the prior 20: 5 of them "ballot"
    log_odds = math.log(15 / 25) - math.log(5 / 35)
    assert (word.word, word.mistakes, word.right) == ("ballot", 10, 0)
    assert word.z == pytest.approx(log_odds / math.sqrt(1 / 15 + 1 / 5))


def test_words_that_both_sides_have_are_not_told() -> None:
    assert telling_words(["the goal"] * 10, ["the goal"] * 10) == ()
    assert telling_words(["rare"] * 2, ["other"] * 50) == ()
    assert telling_words(["goal"], []) == ()
    assert telling_words([], ["goal"]) == ()


def test_a_word_counts_once_a_text() -> None:
    once = telling_words(["ballot goal"] * 5, ["goal match"] * 20)
    often = telling_words(["ballot " * 30 + "goal"] * 5, ["goal match"] * 20)
    assert once == often


def test_groups_are_the_cells_of_the_confusion() -> None:
    chance = np.random.default_rng(0)
    truth, predicted = chance.integers(3, size=200), chance.integers(3, size=200)
    texts = [f"text {row} of {LABELS[label]}" for row, label in enumerate(truth)]
    test = dataset_of(Task(labels=LABELS), texts, [LABELS[label] for label in truth], "t.csv")
    table = confusion(truth, predicted, 3)
    groups = group_mistakes(test, single(truth.tolist(), predicted.tolist()))
    assert len(groups) == 6
    assert [group.rows for group in groups] == sorted((group.rows for group in groups), reverse=True)
    for group in groups:
        one, other = LABELS.index(group.truth), LABELS.index(group.predicted)
        assert group.rows == table[one, other]
        assert group.share == pytest.approx(table[one, other] / table[one].sum())
        assert group.right_rows == table[one, one]
        for example in group.examples:
            row = int(example.where.rpartition(":")[2]) - 1
            assert (truth[row], predicted[row]) == (one, other)
            assert example.probability == pytest.approx(0.8)


def test_the_surest_of_a_group_come_first() -> None:
    answers = several([[1, 0, 0]] * 3, [[0.9, 0.6, 0.1], [0.9, 0.9, 0.1], [0.9, 0.7, 0.1]])
    test = dataset_of(Task(labels=LABELS, kind="multi_label"), ["x", "y", "z"], [("a",)] * 3)
    (group,) = group_mistakes(test, answers)
    assert (group.kind, group.truth, group.predicted, group.rows) == ("added", "", "b", 3)
    assert [example.text for example in group.examples] == ["y", "z", "x"]
    assert group.share == 1.0


def test_labels_are_missed_and_added() -> None:
    truth = [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]]
    answers = several(truth, [[0.2, 0.1, 0.1], [0.4, 0.9, 0.1], [0.9, 0.1, 0.1], [0.1, 0.9, 0.1]])
    targets = [("a",), ("a",), ("a",), ("b",)]
    test = dataset_of(Task(labels=LABELS, kind="multi_label"), list("wxyz"), targets)
    missed, added = group_mistakes(test, answers)
    assert (missed.kind, missed.truth, missed.rows, missed.right_rows) == ("missed", "a", 2, 1)
    assert missed.share == pytest.approx(2 / 3)
    assert [example.text for example in missed.examples] == ["w", "x"]
    assert missed.examples[0].probability == pytest.approx(0.8)
    assert (added.kind, added.predicted, added.rows, added.share) == ("added", "b", 1, 0.5)


def test_a_faultless_model_has_no_groups() -> None:
    test = dataset_of(Task(labels=LABELS), ["x", "y"], ["a", "b"])
    assert group_mistakes(test, single([0, 1], [0, 1])) == ()
    both = dataset_of(Task(labels=LABELS, kind="multi_label"), ["x"], [("a",)])
    assert group_mistakes(both, several([[1, 0, 0]], [[0.9, 0.1, 0.1]])) == ()
