"""Lengths that stand out, and texts that were cut."""

from __future__ import annotations

import numpy as np

from tunesmith.data.dataset import dataset_of
from tunesmith.data.facts import facts_of
from tunesmith.data.length_checks import cut_off_rows, length_problems
from tunesmith.errors import Problem
from tunesmith.task import Task

TASK = Task(labels=("a", "b"))


def sentences(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [
        " ".join(f"word{each}" for each in random.integers(0, 999, random.integers(8, 30))) + "."
        for _ in range(count)
    ]


def told(texts: list[str]) -> dict[str, Problem]:
    facts = facts_of(dataset_of(TASK, texts, ["a", "b"] * (len(texts) // 2) + ["a"] * (len(texts) % 2)))
    return {problem.code: problem for problem in length_problems(facts)}


def test_a_text_without_a_full_stop_among_others_was_cut() -> None:
    texts = sentences(100)
    texts[7], texts[9] = texts[7][:60].rstrip("."), "short one"
    problem = told(texts)["cut-off"]
    assert problem.where == 'memory:8, column "text"'
    assert problem.severity == "warning"
    assert "stops without a full stop" in problem.what


def test_where_many_texts_end_without_a_full_stop_it_means_nothing() -> None:
    texts = [text.rstrip(".") if at % 10 == 0 else text for at, text in enumerate(sentences(100))]
    assert "cut-off" not in told(texts)


def test_many_texts_of_the_greatest_length_were_cut_there() -> None:
    texts = [text[:120] for text in sentences(200)]
    problem = told(texts)["cut-off"]
    assert "have 120 characters, and none has more" in problem.what
    facts = facts_of(dataset_of(TASK, texts, ["a", "b"] * 100))
    assert problem.count == cut_off_rows(facts).size == sum(len(text) == 120 for text in texts)


def test_far_shorter_and_longer_texts_are_told_as_no_fault() -> None:
    texts = sentences(100)
    texts[3], texts[4] = "x.", " ".join(texts) + "."
    problem = told(texts)["length-outliers"]
    assert (problem.count, problem.severity) == (2, "info")
    assert "this text has 2 characters, where half of all have" in problem.what


def test_texts_of_one_length_and_few_texts_are_no_outliers() -> None:
    assert told(["Twenty characters...."] * 60) == {}
    assert told([*sentences(40), "x"]) == {}
