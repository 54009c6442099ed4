"""Runs beside each other: the right rows, the right sides, and numbers that can be worked out by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tests.unit.evaluation.conftest import answers, unseen
from tunesmith.data.dataset import dataset_of
from tunesmith.errors import DataError
from tunesmith.evaluation.comparison.build import Contender, build_comparison
from tunesmith.evaluation.comparison.html import comparison_as_html
from tunesmith.evaluation.comparison.rows import aligned
from tunesmith.evaluation.comparison.terminal import comparison_as_terminal
from tunesmith.evaluation.comparison.types import Comparison, RunCost
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.predictions import Predictions, label_predictions, written_predictions
from tunesmith.evaluation.types import McNemar
from tunesmith.task import Task

LABELS = ("business", "sport", "world")


def _answered(skill: float, seed: int = 3, rows: int = 300, labels: tuple[str, ...] = LABELS) -> Predictions:
    test = unseen(labels, rows)
    return label_predictions(test, answers(np.asarray(test.label_ids), len(labels), seed, skill))


def _runs(*found: Predictions, names: Sequence[str] = "abcdefgh") -> list[Contender]:
    return [
        Contender(name, f"runs/{name}", each, RunCost(10.0, 2.5, 30_000_000), {"epochs": at, "seed": 0})
        for at, (name, each) in enumerate(zip(names, found, strict=False))
    ]


def _of(truth: Sequence[str], guesses: Sequence[str]) -> Predictions:
    test = dataset_of(Task(labels=("x", "y")), [f"t{at}" for at in range(len(truth))], truth, "test.csv")
    return label_predictions(test, np.eye(2)[["xy".index(guess) for guess in guesses]])


def test_by_hand() -> None:
    truth = "xxxxxyyyyy"
    first, second = _of(truth, "xxxyyyyyxx"), _of(truth, "xxxxxyyyyx")
    found = build_comparison(_runs(first, second))
    one, other = found.runs
    assert (found.rows, found.lead, found.beside) == (10, "macro_f1", "accuracy")
    assert (one.metrics["accuracy"], other.metrics["accuracy"]) == (0.6, 0.9)
    assert other.differences["accuracy"].value == pytest.approx(0.3)
    # three rows only the second has right, none only the first: 2 * (1/2)^3
    assert other.mcnemar == McNemar(3, 0, 0.25, "exact")
    assert (other.p, other.apart) == (0.25, 3)
    assert [row.where for row in other.examples] == ["test.csv:4", "test.csv:5", "test.csv:9"]
    assert (other.examples[0].truth, other.examples[0].first, other.examples[0].other) == ("x", "y", "x")
    assert (one.mcnemar, one.p, one.differences, one.examples) == (None, None, {}, ())
    assert [label.f1 for label in one.per_label] == pytest.approx([0.6, 0.6])
    apart = other.per_label[0].difference
    assert apart is not None
    assert apart.value == pytest.approx(10 / 11 - 0.6)
    assert apart.low <= apart.value <= apart.high


def test_what_differs_in_the_recipes_is_shown_and_nothing_else() -> None:
    found = build_comparison(_runs(_answered(1.0), _answered(2.0)))
    assert [run.recipe for run in found.runs] == [{"epochs": "0"}, {"epochs": "1"}]


def test_of_several_runs_p_values_are_raised() -> None:
    found = build_comparison(_runs(_answered(1.0), _answered(2.5), _answered(1.2, seed=4)))
    raw = [run.mcnemar.p for run in found.runs if run.mcnemar]
    raised = [run.p for run in found.runs[1:]]
    assert raised[0] == pytest.approx(2 * raw[0])
    assert raised[1] == pytest.approx(max(raw[1], 2 * raw[0]))
    assert "after Holm" in found.sentences[0]
    assert "is better than a" in found.sentences[0]
    assert "after Holm" not in build_comparison(_runs(_answered(1.0), _answered(2.5))).sentences[0]


def test_a_run_beside_itself_differs_in_nothing() -> None:
    same = _answered(1.5)
    run = build_comparison(_runs(same, same)).runs[1]
    assert all((found.value, found.low, found.high) == (0, 0, 0) for found in run.differences.values())
    assert (run.apart, run.examples, run.p) == (0, (), 1.0)


def test_several_labels_go_by_whole_sets() -> None:
    task = Task(kind="multi_label", labels=("a", "b"))
    test = dataset_of(task, list("pqrs"), [("a",), ("a", "b"), (), ("b",)], "test.csv")
    truth = test.label_matrix
    wrong = truth.copy()
    wrong[1] = [True, False]
    found = build_comparison(
        _runs(
            *(label_predictions(test, np.where(given, 0.9, 0.1), given) for given in (wrong, truth)),
        )
    )
    run = found.runs[1]
    assert run.mcnemar == McNemar(1, 0, 1.0, "exact")
    assert (run.metrics["subset_accuracy"], found.runs[0].metrics["subset_accuracy"]) == (1.0, 0.75)
    assert (run.examples[0].truth, run.examples[0].first) == ("a, b", "a")
    assert found.beside == "micro_f1"


def test_written_answers_are_compared_by_their_scores() -> None:
    test = dataset_of(Task(kind="completion", target_column="completion"), list("pqrs"), list("wxyz"))
    scores = [[0.5, 1.0, 0.0, 0.2], [0.5, 1.0, 1.0, 0.1]]
    found = build_comparison(
        _runs(
            *(
                written_predictions(
                    test,
                    {
                        "rouge_l": np.asarray(each),
                        "word_f1": np.asarray(each),
                        "exact_match": np.asarray(each) // 1,
                    },
                )
                for each in scores
            )
        )
    )
    run = found.runs[1]
    assert (found.lead, run.mcnemar) == ("rouge_l", McNemar(1, 0, 1.0, "exact"))
    assert run.differences["rouge_l"].value == pytest.approx(0.225)
    assert (run.per_label, run.apart) == ((), 2)
    assert "ROUGE-L" in comparison_as_html(found, "written")


def _part(whole: Predictions, rows: Sequence[int]) -> Predictions:
    return whole.take(np.asarray(rows))


def test_other_rows_are_refused_with_what_is_shared() -> None:
    whole = _answered(1.0, rows=20)
    with pytest.raises(DataError) as told:
        build_comparison(_runs(_part(whole, range(12)), _part(whole, range(4, 20))))
    problem = told.value.problems[0]
    assert problem.code == "other-rows"
    assert "they share 8 of 12 and 16" in problem.what
    assert "--shared" in problem.fix


def test_shared_rows_are_compared_where_that_is_asked() -> None:
    whole = _answered(1.0, rows=20)
    first, second = _part(whole, range(12)), _part(whole, range(19, 3, -1))
    found = build_comparison(_runs(first, second), shared=True)
    assert (found.rows, [run.left_out for run in found.runs]) == (8, [4, 8])
    middle = _part(whole, range(4, 12))
    assert middle.probabilities is not None
    assert found.runs[1].metrics == measure(middle.truth, middle.probabilities)
    assert found.runs[1].apart == 0


def test_nothing_shared_is_refused_even_then() -> None:
    whole = _answered(1.0, rows=20)
    with pytest.raises(DataError, match="other-rows"):
        build_comparison(_runs(_part(whole, range(9)), _part(whole, range(9, 20))), shared=True)


def test_a_row_of_another_truth_is_another_row() -> None:
    first = _of("xxyy", "xxyy")
    second = _of("xxyx", "xxyy")
    with pytest.raises(DataError, match="they share 3 of 4 and 4"):
        build_comparison(_runs(first, second))


def test_other_labels_and_kinds_are_refused() -> None:
    other = _answered(1.0, labels=("business", "sport", "weather"))
    with pytest.raises(DataError, match=r"'weather', 'world' stand in one of them only") as told:
        build_comparison(_runs(_answered(1.0), other))
    assert told.value.problems[0].code == "another-task"
    with pytest.raises(DataError, match="`single_label`, that of b is `multi_label`"):
        build_comparison(_runs(_answered(1.0), replace(_answered(1.0), kind="multi_label")))


@given(st.permutations(range(30)), st.data())
def test_rows_meet_in_whatever_order_and_however_often_a_text_stands(
    order: list[int], data: st.DataObject
) -> None:
    texts = data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=30, max_size=30))
    test = dataset_of(Task(labels=("x", "y")), texts, ["x" if text < "e" else "y" for text in texts])
    first = label_predictions(test, np.full((30, 2), 0.5))
    (one, other), left_out = aligned([first, _part(first, order)], "ab", shared=False)
    assert left_out == [0, 0]
    assert one.keys.tolist() == other.keys.tolist() == first.keys.tolist()
    assert one.truth.tolist() == other.truth.tolist()


def test_labels_in_another_order_are_the_same_labels() -> None:
    first = _answered(1.0)
    found = build_comparison(_runs(first, first.in_order(("world", "business", "sport"))))
    assert found.runs[1].apart == 0
    assert [label.label for label in found.runs[1].per_label] == list(LABELS)


def _shown(found: Comparison) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=False).print(comparison_as_terminal(found))
    return stream.getvalue()


NASTY = "<script>alert(1)</script>[red]\x1b[31m"


def test_terminal_and_page_bear_any_name() -> None:
    labels = (NASTY, *(f"label number {at}" for at in range(60)))
    answered = [_answered(skill, labels=labels) for skill in (1.0, 2.0, 3.0)]
    found = build_comparison(_runs(*answered, names=(NASTY, "b" * 90, "c")))
    text, page = _shown(found), comparison_as_html(found, NASTY)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") >= 3
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rows"] == 300
