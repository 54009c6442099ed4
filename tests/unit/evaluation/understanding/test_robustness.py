"""Texts typed otherwise: what changes in them, and what that does to the scores."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation.types import Floats
from tunesmith.evaluation.understanding.perturbations import PERTURBATIONS, mistype
from tunesmith.evaluation.understanding.robustness import probe_robustness
from tunesmith.model.thresholds import Thresholds

TEXTS = ["a Goal was scored", "the vote, at last", "another Goal", "no vote"] * 10
TRUTH = np.array([1, 0, 1, 0] * 10)


def changed(name: str, text: str) -> str:
    (found,) = [each for each in PERTURBATIONS if each.name == name]
    return found.change(text, random.Random(0))


def test_case_and_punctuation() -> None:
    assert changed("lower case", "Straße, PARIS!") == "straße, paris!"
    assert changed("UPPER CASE", "Straße, Paris!") == "STRASSE, PARIS!"
    assert changed("no punctuation", "well-known: “Paris” (2024)...") == "well known Paris 2024"


@given(st.text(), st.integers(0, 99))
def test_no_text_breaks_a_change(text: str, seed: int) -> None:
    for each in PERTURBATIONS:
        assert each.change(text, random.Random(seed)) == each.change(text, random.Random(seed))


@given(
    st.lists(st.sampled_from(["goal", "minister", "a", "of", "Parliament"]), max_size=120), st.integers(0, 9)
)
def test_so_many_words_are_mistyped(words: list[str], seed: int) -> None:
    mistyped = mistype(" ".join(words), random.Random(seed)).split()
    assert len(mistyped) == len(words)
    long = sum(len(word) >= 4 for word in words)
    different = [(one, other) for one, other in zip(words, mistyped, strict=True) if one != other]
    assert len(different) == (max(1, round(0.05 * long)) if long else 0)
    for one, other in different:
        assert len(one) >= 4
        assert abs(len(one) - len(other)) <= 1


def test_every_kind_of_typo_comes_up() -> None:
    found = {mistype("word", random.Random(seed)) for seed in range(300)}
    assert {"owrd", "ord", "wword", "wird", "qord", "wrod"} <= found
    assert all(other != "word" for other in found)


def looks_for_goal(_change: str, texts: Sequence[str]) -> Floats:
    """Sure of the second label where "Goal" stands, just so written."""
    sure = np.array([0.9 if "Goal" in text else 0.1 for text in texts])
    return np.stack([1 - sure, sure], axis=1)


def test_scores_and_differences() -> None:
    found = probe_robustness(
        looks_for_goal, TEXTS, TRUTH, looks_for_goal("", TEXTS), None, seed=0, seconds=60, clock=lambda: 0.0
    )
    assert (found.rows, found.accuracy, found.macro_f1, found.left_out) == (40, 1.0, 1.0, ())
    upper = next(test for test in found.tests if test.name == "UPPER CASE")
    assert (upper.accuracy, upper.changed_answers, upper.changed_texts) == (0.5, 0.5, 1.0)
    # everything was answered with the first label
    assert upper.macro_f1 == pytest.approx((2 * 20 / 60) / 2)
    assert upper.accuracy_difference.value == -0.5
    assert upper.accuracy_difference.low < -0.5 < upper.accuracy_difference.high < 0
    bare = next(test for test in found.tests if test.name == "no punctuation")
    assert (bare.changed_texts, bare.changed_answers) == (0.25, 0.0)
    assert (bare.accuracy_difference.low, bare.accuracy_difference.high) == (0.0, 0.0)


def test_several_labels() -> None:
    truth = np.stack([TRUTH == 0, TRUTH == 1], axis=1)
    found = probe_robustness(
        looks_for_goal,
        TEXTS,
        truth,
        looks_for_goal("", TEXTS),
        Thresholds.unfitted(2),
        seed=0,
        seconds=60,
        clock=lambda: 0.0,
    )
    lower = next(test for test in found.tests if test.name == "lower case")
    assert (found.accuracy, lower.accuracy, lower.changed_answers) == (1.0, 0.5, 0.5)


def test_it_ends_when_time_is_up() -> None:
    ticks = iter([0.0, 0.0, 30.0, 61.0, 99.0])
    found = probe_robustness(
        looks_for_goal,
        TEXTS,
        TRUTH,
        looks_for_goal("", TEXTS),
        None,
        seed=0,
        seconds=60,
        clock=lambda: next(ticks),
    )
    assert [test.name for test in found.tests] == ["lower case", "UPPER CASE"]
    assert found.left_out == ("typos", "no punctuation")
