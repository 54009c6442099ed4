"""Scores of written answers: by hand, as the libraries compute them, and with intervals that hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tests.unit.evaluation.generation.conftest import questions, written
from tunesmith.evaluation.generation.corpus import corpus_scores
from tunesmith.evaluation.generation.scores import Measured, few_values, measure_answers
from tunesmith.evaluation.intervals import intervals
from tunesmith.evaluation.types import Ints
from tunesmith.model.language import TokenSums

REFERENCES = [
    "The cat sat on the mat and slept.",
    "Über den Wolken muss die Freiheit wohl grenzenlos sein.",
    "Das ist gut",
    "日本語です。",
    "yes",
]
ANSWERS = [
    "A cat sat on the mat.",
    "Über den Bergen ist die Freiheit groß.",
    "das ist gut",
    "日本人です。",
    "",
]


def test_scores_of_rows_by_hand() -> None:
    metrics = measure_answers(["a b", "C d", " e\n"], ["a b", "c d", "e f"]).metrics
    assert metrics["exact_match"] == pytest.approx(1 / 3)
    assert metrics["exact_match_folded"] == pytest.approx(2 / 3)
    assert metrics["word_f1"] == metrics["rouge_l"] == pytest.approx((1 + 1 + 2 / 3) / 3)


def test_bleu_by_hand() -> None:
    # 4 of 5 words, 2 of 4 pairs, 1 of 3 triples, 0 of 2 runs of four, smoothed to 1/2 of one
    metrics = measure_answers(["the cat sat on mats"], ["the cat sat by mats"]).metrics
    expected = 100 * (4 / 5 * 2 / 4 * 1 / 3 * (1 / 2) / 2) ** (1 / 4)
    assert metrics["bleu"] == pytest.approx(expected)


def test_chrf_by_hand() -> None:
    # characters: 1 of 2, pairs: 0 of 1; no longer runs. F2 of precision 1/4 and recall 1/4
    assert measure_answers(["ab"], ["ac"]).metrics["chrf"] == pytest.approx(25)


def test_corpus_scores_are_sacrebleus() -> None:
    metrics = measure_answers(REFERENCES, ANSWERS).metrics
    assert metrics["bleu"] == pytest.approx(BLEU().corpus_score(ANSWERS, [REFERENCES]).score)
    assert metrics["chrf"] == pytest.approx(CHRF().corpus_score(ANSWERS, [REFERENCES]).score)
    signatures = {each.key: each.signature for each in corpus_scores(REFERENCES, ANSWERS)}
    assert "tok:13a" in signatures["bleu"]
    assert "nc:6" in signatures["chrf"]


def test_short_answers_have_a_bleu() -> None:
    assert measure_answers(["yes", "no"], ["yes", "no"]).metrics["bleu"] == pytest.approx(100)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_equal_texts_score_all_there_is(texts: list[str]) -> None:
    metrics = measure_answers(texts, texts).metrics
    corpus = {name: metrics.pop(name) for name in ("bleu", "chrf")}
    assert metrics == dict.fromkeys(metrics, 1.0)
    assert corpus["chrf"] == pytest.approx(100)
    # its tokenizer takes some characters for white space, of which nothing may be left
    assert corpus["bleu"] == pytest.approx(100) or corpus["bleu"] == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=4))
def test_any_texts_can_be_scored(pairs: list[tuple[str, str]]) -> None:
    references, answers = [reference for reference, _ in pairs], [answer for _, answer in pairs]
    metrics = measure_answers(references, answers).metrics
    assert all(-1e-9 <= value <= 100 + 1e-9 for value in metrics.values())


def test_empty_answers_score_nothing() -> None:
    metrics = measure_answers(REFERENCES, [""] * 5).metrics
    assert metrics == dict.fromkeys(metrics, 0.0)


def test_without_the_library_the_other_scores_stand() -> None:
    def without(references: object, answers: object) -> tuple[()]:
        assert corpus_scores(["a"], ["a"], library="tunesmith.no_such_module") == ()
        return ()

    metrics = measure_answers(REFERENCES, ANSWERS, score_corpus=without).metrics
    assert metrics.keys() == {"rouge_l", "word_f1", "exact_match", "exact_match_folded"}


@pytest.mark.parametrize(
    ("references", "values"),
    [
        (["yes", "no "] * 2, ("no", "yes")),
        (["yes"] * 9, ()),
        (["a", "b", "c"], ()),
        ([f"{index % 50}" for index in range(100)], tuple(sorted(map(str, range(50))))),
        ([f"{index % 51}" for index in range(102)], ()),
    ],
    ids=["two", "one", "once each", "fifty", "too many"],
)
def test_few_different_targets_are_values(references: list[str], values: tuple[str, ...]) -> None:
    assert few_values(references) == values


def test_values_are_scored_as_labels() -> None:
    measured = measure_answers(["a", "a", "b", "b"], ["a", "b", "b ", "neither"], ("a", "b"))
    # a: precision 1/1, recall 1/2; b: precision 1/2, recall 1/2
    assert measured.metrics["accuracy"] == measured.metrics["exact_match"] == pytest.approx(1 / 2)
    assert measured.metrics["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert measured.outside == 1


def _taken(whole: Measured, rows: Ints) -> Measured:
    corpora = tuple(replace(each, statistics=each.statistics[rows]) for each in whole.corpora)
    return Measured({name: values[rows] for name, values in whole.by_row.items()}, corpora, None)


def test_resampling_equals_a_plain_bootstrap() -> None:
    test = questions(30, 5)
    references, answers = list(test.references), written(test, 0.7)
    references[::3], answers[::3] = ["yes", "no"] * 5, ["yes"] * 10
    values = sorted(set(references))
    whole = measure_answers(references, answers, values)
    resampled = whole.resample(seed=4, resamples=20)
    draws = np.random.default_rng(4).integers(30, size=(20, 30))
    plain = [
        measure_answers([references[row] for row in rows], [answers[row] for row in rows]).metrics
        for rows in draws
    ]
    for name in ("rouge_l", "word_f1", "exact_match", "exact_match_folded", "chrf", "bleu"):
        assert resampled.scores[name] == pytest.approx([one[name] for one in plain]), name
    assert resampled.scores["accuracy"] == pytest.approx(resampled.scores["exact_match"])
    assert resampled.scores.keys() == whole.metrics.keys()
    assert resampled.labels["f1"].shape == (20, len(values))


def test_methods_are_resampled_alike() -> None:
    test = questions(60, 5)
    first, second = (measure_answers(test.references, written(test, 0.7)).resample(seed=1) for _ in range(2))
    assert all((first.scores[name] == second.scores[name]).all() for name in first.scores)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    many = questions(2_000, 6)
    whole = measure_answers(many.references, written(many, 0.6))
    truth, draw = whole.metrics, np.random.default_rng(0)
    tests, covered = 150, dict.fromkeys(("rouge_l", "exact_match_folded", "chrf", "bleu"), 0)
    for seed in range(tests):
        resampled = _taken(whole, draw.integers(2_000, size=60)).resample(seed=seed, resamples=200)
        for name, found in intervals(resampled).items():
            if name in covered:
                covered[name] += found.low <= truth[name] <= found.high
    # 95 % of 150 is 142.5, give or take five; the percentile bootstrap is a little narrow
    assert all(132 <= times <= 150 for times in covered.values()), covered


def test_token_figures_are_resampled_with_the_rows() -> None:
    tokens = TokenSums(np.array([2, 0, 4]), np.array([1.0, 0.0, 8.0]), np.array([2, 0, 1]))
    measured = measure_answers(["a", "b", "c"], ["a", "x", "c"], tokens=tokens)
    assert measured.metrics["token_accuracy"] == 0.5
    assert measured.metrics["log_loss"] == 1.5
    found = measured.resample(seed=4, resamples=30)
    for at, rows in enumerate(np.random.default_rng(4).integers(3, size=(30, 3))):
        count = tokens.tokens[rows].sum()
        loss = tokens.log_loss[rows].sum() / count if count else 1.5
        assert found.scores["log_loss"][at] == pytest.approx(loss)
        assert found.scores["perplexity"][at] == pytest.approx(np.exp(loss))
