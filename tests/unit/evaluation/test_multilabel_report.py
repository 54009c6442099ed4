"""The report of a multi-label model: what it holds, and how it shows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.unit.evaluation.conftest import CURVES
from tests.unit.evaluation.test_rivals import ran
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.errors import DataError
from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.multilabel_report import build_multilabel_report
from tunesmith.evaluation.rival import MAJORITY, NGRAMS, TFIDF
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.evaluation.types import Cost, Report
from tunesmith.model.thresholds import Thresholds
from tunesmith.recipe import Recipe
from tunesmith.task import Task

LABELS = ("food", "politics", "sport")
WORDS = {"sport": ("goal", "match", "coach"), "politics": ("vote", "law", "senate"), "food": ("soup", "salt")}


def topics(rows: int, seed: int) -> Dataset:
    """Texts with the words of their labels, of which there may be none."""
    draw = np.random.default_rng(seed)
    marks = draw.random((rows, 3)) < (0.1, 0.3, 0.5)
    targets = [tuple(label for label, on in zip(LABELS, row, strict=True) if on) for row in marks]
    texts = [
        " ".join(
            ["the", *(str(draw.choice(WORDS[label])) for label in target), f"of day {draw.integers(50)}"]
        )
        for target in targets
    ]
    return dataset_of(Task(kind="multi_label", labels=LABELS), texts, targets, "test.csv")


def report_on(test: Dataset, skill: float = 0.4, **given: Any) -> Report:
    truth = test.label_matrix
    noise = np.random.default_rng(0).random(truth.shape)
    arguments: dict[str, Any] = {
        "test": test,
        "probabilities": skill * truth + (1 - skill) * noise,
        "thresholds": Thresholds((0.5, 0.6, 0.7), 0.5),
        "curves": CURVES,
        "cost": Cost(3.0, 0.2),
        "provenance": {"base": "embedded"},
        "seed": 0,
    }
    if "rivals" not in given:
        given["rivals"] = ran(topics(120, 1), test, seed=0)
    return build_multilabel_report(**arguments | given)


@pytest.fixture(scope="module")
def report() -> Report:
    return report_on(topics(200, 2))


def test_a_report_of_several_labels(report: Report) -> None:
    assert report.kind == "multi_label"
    assert report.confusion == ()
    assert [found.threshold for found in report.per_label] == [0.5, 0.6, 0.7]
    assert {"micro_f1", "macro_f1", "example_f1", "subset_accuracy", "hamming_loss"} <= report.metrics.keys()
    assert report.metrics.keys() == report.intervals.keys(), "every figure has an interval"
    assert [rival.name for rival in report.rivals] == [MAJORITY, TFIDF, NGRAMS]
    assert set(report.rivals[0].differences) == set(report.metrics)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_mistakes_say_what_was_missed_and_added(report: Report) -> None:
    sure = [found.probability for found in report.mistakes]
    assert sure == sorted(sure, reverse=True)
    assert all(found.missed or found.added for found in report.mistakes)
    for found in report.mistakes:
        truth = set() if found.truth == "(no label)" else set(found.truth.split(", "))
        given = set() if found.predicted == "(no label)" else set(found.predicted.split(", "))
        assert truth - given == set(found.missed)
        assert given - truth == set(found.added)


def test_mix_ups_count_rows(report: Report) -> None:
    test = topics(200, 2)
    truth = test.label_matrix
    given = 0.4 * truth + 0.6 * np.random.default_rng(0).random(truth.shape) >= (0.5, 0.6, 0.7)
    assert report.mix_ups
    for found in report.mix_ups:
        one, other = LABELS.index(found.truth), LABELS.index(found.predicted)
        both = truth[:, one] & ~given[:, one] & given[:, other] & ~truth[:, other]
        assert found.rows == both.sum()
        assert found.share == pytest.approx(both.sum() / truth[:, one].sum())
    assert [found.rows for found in report.mix_ups] == sorted((f.rows for f in report.mix_ups), reverse=True)


def test_a_perfect_model_has_no_mistakes() -> None:
    report = report_on(topics(40, 3), skill=1.0)
    assert (report.mistakes, report.mix_ups) == ((), ())
    assert report.metrics["subset_accuracy"] == 1.0
    assert "In no test row was one label missed" in as_html(report, "perfect")


def test_no_test_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no-test-rows"):
        report_on(topics(0, 0), probabilities=np.zeros((0, 3)), rivals=())


def test_words_beat_the_most_frequent_set() -> None:
    train, test = topics(200, 0), topics(100, 1)
    usual, words, pairs = ran(train, test, seed=0)
    assert usual.given is not None
    assert words.given is not None
    assert len(np.unique(usual.given, axis=0)) == 1
    assert pairs.given is not None
    for found in (words, pairs):
        assert np.mean(found.given == test.label_matrix) > 0.97
    assert "C = " in words.how
    again = ran(train, test, seed=0)[1]
    assert again.probabilities.tolist() == words.probabilities.tolist()


@pytest.mark.parametrize("texts", [[""] * 6, ["soup"] * 6, ["a", "b", "c", "d", "e", "f"]])
def test_rivals_survive_poor_data(texts: list[str]) -> None:
    task = Task(kind="multi_label", labels=("a", "b", "never", "always"))
    targets: list[Any] = [("a", "always"), ("always",), ("a", "b", "always"), ("always",)] * 2
    data = dataset_of(task, texts, targets[:6])
    for rival in ran(data, data, seed=0):
        assert rival.probabilities.shape == (6, 4)
        assert ((rival.probabilities > 0) & (rival.probabilities < 1)).all()


def _terminal(report: Report) -> str:
    console = Console(width=80, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as said:
        console.print(as_terminal(report))
    return said.get()


def test_the_terminal_has_what_counts(report: Report) -> None:
    said = _terminal(report)
    for words in ("micro-F1", "macro-F1", "Hamming loss", "subset accuracy", TFIDF):
        assert words in said
    assert "accuracy  " not in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_page_has_what_counts(report: Report) -> None:
    page = as_html(report, "topics")
    for words in ("Micro-F1", "Threshold", "Missed", "Hamming loss", "0.600"):
        assert words in page
    assert "Confusion matrix" not in page
    nasty = report_on(_renamed(topics(50, 4)), rivals=())
    assert "<script>" not in as_html(nasty, "<script>")


def _renamed(data: Dataset) -> Dataset:
    names = {label: f"<script>{label}" for label in LABELS}
    targets = [tuple(names[label] for label in labels or ()) for labels in data.target_lists]
    return dataset_of(Task(kind="multi_label", labels=tuple(names.values())), data.texts, targets)


def test_the_card_has_what_counts(report: Report) -> None:
    task = Task(kind="multi_label", labels=LABELS)
    card = as_model_card(report, task=task, recipe=Recipe(max_tokens=64), name="topics")
    for words in (
        "none, one or several of 3 labels",
        "top_k=None",
        "Micro-F1",
        "hamming_loss",
        "thresholds.json",
    ):
        assert words in card
    assert "always answers" not in card
