"""Sets that differ are told apart, sets that do not are not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tunesmith.audit.shift import auc_interval, shift_between
from tunesmith.data.dataset import dataset_of
from tunesmith.data.facts import Facts, facts_of
from tunesmith.task import Task

WORDS = [f"word{number}" for number in range(60)]
TASK = Task(labels=("a", "b"))


def facts(count: int, seed: int, extra: str = "", share: float = 0.5) -> Facts:
    random = np.random.default_rng(seed)
    texts = [" ".join([*random.choice(WORDS, 12), extra]) for _ in range(count)]
    return facts_of(dataset_of(TASK, texts, ["a" if at < share * count else "b" for at in range(count)]))


def test_sets_of_one_kind_are_not_told_apart() -> None:
    shift = shift_between(facts(150, 0), "test", facts(100, 1), 0)
    assert shift is not None
    assert shift.low < 0.5 < shift.high
    assert shift.rows == 250
    assert shift.labels == ()


def test_what_gives_a_set_away_is_told() -> None:
    shift = shift_between(facts(80, 0, "reuters"), "test", facts(80, 1, "bbc", share=0.75), 0)
    assert shift is not None
    assert shift.auc > 0.99
    assert shift.low > 0.95
    assert (shift.train_words[0], shift.held_out_words[0]) == ("reuters", "bbc")
    assert [(each.label, each.train, each.held_out) for each in shift.labels] == [
        ("a", 0.5, 0.75),
        ("b", 0.5, 0.25),
    ]


def test_texts_of_both_sets_are_left_out_and_too_few_are_not_judged() -> None:
    assert shift_between(facts(80, 0), "test", facts(80, 0), 0) is None
    assert shift_between(facts(80, 0), "test", facts(20, 1), 0) is None


def test_the_interval_holds_the_true_auc_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(300):
        scores = np.concatenate([random.normal(0, 1, 60), random.normal(1, 1, 90)])
        auc = float(roc_auc_score(np.repeat([0, 1], [60, 90]), scores))
        low, high = auc_interval(auc, 60, 90)
        held += low <= 0.7602 <= high
    assert held / 300 == pytest.approx(0.95, abs=0.035)
