"""Every check, with its severity, its place and its count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tunesmith.data.check import DataReport, check, with_tokens
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.read import read
from tunesmith.errors import DataError, Problem
from tunesmith.task import Task

from .conftest import Save

TASK = Task(labels=("a", "b"))


def good(count: int = 20, task: Task = TASK) -> Dataset:
    return dataset_of(
        task, [f"text number {number}" for number in range(count)], ["a", "b"] * (count // 2), "f"
    )


def with_rows(*rows: tuple[str | None, str | None], task: Task = TASK) -> Dataset:
    """Twenty good rows, then these."""
    dataset = good()
    texts, targets = (
        [*dataset.texts, *(text for text, _ in rows)],
        [*dataset.targets, *(label for _, label in rows)],
    )
    return dataset_of(task, texts, targets, "f")


def only(report: DataReport) -> Problem:
    (problem,) = report.problems
    return problem


def in_words(report: DataReport, dataset: Dataset, window: int | None = None) -> DataReport:
    """Words are the tokens."""
    counts = np.array([len(text.split()) for text in dataset.texts], np.int32)
    return with_tokens(report, dataset, counts, window=window)


def test_good_data_is_ok() -> None:
    report = in_words(check(good(), held_out={"test": dataset_of(TASK, ["x y z"], ["a"])}), good(), window=10)
    assert report.problems == ()
    assert report.ok
    assert report.raise_if_failed() is report
    assert (report.rows, report.label_counts, report.duplicates, report.leaks) == (
        20,
        {"a": 10, "b": 10},
        0,
        0,
    )


def test_empty_texts_and_missing_labels_are_errors_with_their_first_row() -> None:
    report = check(with_rows((None, "a"), (" \n", "b"), ("fine", None)))
    empty, missing = report.problems
    assert (empty.code, empty.severity, empty.count) == ("empty-text", "error", 2)
    assert empty.where == 'f:21, column "text" (and 1 more row)'
    assert (missing.code, missing.severity, missing.where) == (
        "missing-label",
        "error",
        'f:23, column "label"',
    )
    assert report.duplicates == 0


def test_unknown_labels_are_told_one_by_one_with_the_nearest() -> None:
    report = check(with_rows(("x1", "a "), ("x2", "zzz"), ("x3", "a "), task=TASK), labels_given=True)
    trimmed, other = report.problems
    assert (trimmed.code, trimmed.count, trimmed.where) == (
        "unknown-label",
        2,
        'f:21, column "label" (and 1 more row)',
    )
    assert trimmed.what == "'a ' is not a label of this task"
    assert trimmed.fix.startswith("trim the value")
    assert "task.yaml" in other.fix
    misspelt = check(with_rows(("x", "sprt"), task=Task(labels=("a", "b", "sport"))), labels_given=True)
    assert "did you mean 'sport'?" in next(
        each.fix for each in misspelt.problems if each.code == "unknown-label"
    )


def test_hundreds_of_unknown_labels_are_summed_up() -> None:
    problems = check(
        with_rows(*((f"x{number}", f"c{number:03d}") for number in range(300))), labels_given=True
    ).problems
    unknown = [problem for problem in problems if problem.code == "unknown-label"]
    assert len(unknown) == 21
    assert sum(problem.count for problem in unknown) == 300
    assert unknown[0].what.startswith("280 more values")


@pytest.mark.parametrize(
    ("label", "severity"),
    [("Sport", "error"), ("sport ", "error"), ("SPORT", "error"), ("sports", "warning")],
)
def test_spellings_of_one_label(label: str, severity: str) -> None:
    texts = [f"text {number}" for number in range(40)]
    dataset = dataset_of(Task(), texts, (["sport"] * 3 + ["b"]) * 8 + [label] * 8)
    problem = only(check(dataset))
    assert (problem.code, problem.severity, problem.count) == ("label-variants", severity, 8)
    assert problem.where == 'memory:33, column "label" (and 7 more rows)'
    assert problem.what.startswith(f"'sport' and {label!r}")


def test_spellings_that_the_user_listed_are_meant() -> None:
    task = Task(labels=("us", "US"))
    dataset = dataset_of(task, [f"text {number}" for number in range(20)], ["us", "US"] * 10)
    assert check(dataset, labels_given=True).ok
    assert not check(dataset).ok


def test_one_label_is_an_error() -> None:
    problem = only(check(dataset_of(Task(), ["one", "two"], ["a", "a"])))
    assert (problem.code, problem.severity, problem.count) == ("one-class", "error", 2)


def test_no_rows_are_an_error() -> None:
    nothing = dataset_of(TASK, [], [])
    report = in_words(check(nothing), nothing)
    assert only(report).code == "no-rows"
    with pytest.raises(DataError, match="no-rows"):
        report.raise_if_failed()


def test_one_text_only_is_an_error() -> None:
    dataset = dataset_of(TASK, ["Same", "same ", "SAME", "same"] * 5, ["a", "b"] * 10)
    report = check(dataset)
    assert [problem.code for problem in report.problems] == ["all-duplicates"]
    assert (report.duplicates, report.ok) == (19, False)


def test_duplicates_are_a_warning() -> None:
    report = check(with_rows(("Text  NUMBER 0", "a"), ("text number 0", "a")))
    problem = only(report)
    assert (problem.code, problem.severity, problem.count) == ("duplicates", "warning", 2)
    assert problem.where == 'f:21, column "text" (and 1 more row)'
    assert (report.duplicates, report.ok) == (2, True)


def test_contradictions_show_both_rows() -> None:
    problems = check(with_rows(("Text number 0", "b"))).problems
    conflict = next(problem for problem in problems if problem.code == "conflicting-labels")
    assert (conflict.severity, conflict.count) == ("warning", 2)
    assert conflict.what == "the same text is 'a' here and 'b' at f:21"
    assert conflict.where == 'f:1, column "text" (and 1 more row)'


def test_leaks_are_a_warning_and_counted_once() -> None:
    held = {"validation": good(2), "test": good(4)}
    report = check(good(), held_out=held)
    assert [(problem.code, problem.severity, problem.count) for problem in report.problems] == [
        ("leak", "warning", 4),
        ("leak", "warning", 2),
    ]
    assert "test set" in report.problems[0].what
    assert "left out of training" in report.problems[0].fix
    assert report.leaks == 4


def test_held_out_labels_unknown_to_the_training_data_are_errors() -> None:
    held = dataset_of(TASK, ["new one", "new two", None, "new three"], ["c", "a", "a", None], "held.csv")
    report = check(good(), held_out={"test": held})
    assert {(problem.code, problem.where.split(":")[0]) for problem in report.problems} == {
        ("unknown-label", "held.csv"),
        ("empty-text", "held.csv"),
        ("missing-label", "held.csv"),
    }
    assert "the training data" in next(each.what for each in report.problems if each.code == "unknown-label")


def test_a_held_out_label_that_is_listed_but_never_trained_is_an_error() -> None:
    task = Task(labels=("a", "b", "c"))
    report = check(good(task=task), held_out={"test": dataset_of(task, ["new"], ["c"])}, labels_given=True)
    assert {problem.code for problem in report.problems} == {"unknown-label", "few-examples"}


def test_an_empty_held_out_set_is_an_error() -> None:
    problem = only(check(good(), held_out={"test": dataset_of(TASK, [], [])}))
    assert (problem.code, problem.what) == ("no-rows", "the test set has no rows")


def test_few_examples_and_imbalance_are_warnings() -> None:
    texts = [f"text {number}" for number in range(45)]
    report = check(dataset_of(Task(), texts, ["a"] * 41 + ["b"] * 4))
    assert [(problem.code, problem.severity) for problem in report.problems] == [
        ("few-examples", "warning"),
        ("imbalance", "warning"),
    ]
    few, imbalance = report.problems
    assert "'b' (4)" in few.what
    assert few.where == 'memory:42, column "label" (and 3 more rows)'
    assert "'a' has 41 rows, but 'b' only 4" in imbalance.what


def test_a_listed_label_without_rows_is_told() -> None:
    problem = only(check(good(task=Task(labels=("a", "b", "c"))), labels_given=True))
    assert (problem.code, problem.severity) == ("few-examples", "warning")
    assert "'c' (0)" in problem.what


def test_token_lengths_and_the_truncated_share() -> None:
    texts = [" ".join(["word"] * length) + f" {length}" for length in range(4, 24)]
    dataset = dataset_of(TASK, texts, ["a", "b"] * 10)
    report = in_words(check(dataset), dataset, window=20)
    lengths = report.token_lengths
    assert lengths is not None
    assert (lengths.mean, lengths.median, lengths.longest, lengths.truncated_share) == (14.5, 14.5, 24, 0.2)
    assert 22 < lengths.p95 <= 24
    problem = only(report)
    assert (problem.code, problem.severity, problem.count) == ("truncated", "warning", 4)
    assert problem.what.startswith("20.0% of the texts")


def test_tokens_can_be_measured_later_and_on_other_rows() -> None:
    whole = check(with_rows(("text number 0", "a")))
    report = in_words(whole, good(4), window=2)
    assert [(problem.code, problem.count) for problem in report.problems] == [
        ("truncated", 4),
        ("duplicates", 1),
    ]
    assert report.rows == 21
    assert in_words(whole, good(0)) is whole


def test_without_a_window_nothing_is_truncated() -> None:
    lengths = in_words(check(good()), good()).token_lengths
    assert lengths is not None
    assert lengths.truncated_share is None
    assert check(good()).token_lengths is None


def test_very_short_texts_are_a_warning() -> None:
    dataset = dataset_of(TASK, [f"word{number}" for number in range(20)], ["a", "b"] * 10)
    problem = only(in_words(check(dataset), dataset))
    assert (problem.code, problem.severity) == ("short-texts", "warning")


def test_what_reading_found_is_in_the_report(save: Save) -> None:
    rows = "".join(f"text number {number},{'ab'[number % 2]}\n" for number in range(20))
    report = check(read(save("a.csv", f"text,label\n{rows}ragged\n")))
    assert (only(report).code, report.ok) == ("ragged-row", False)


def test_errors_come_first_then_the_most_frequent() -> None:
    dataset = with_rows(*[("text number 0", "a")] * 9, (None, "a"), ("x", None), ("y", None))
    report = check(dataset)
    assert [problem.code for problem in report.problems] == ["missing-label", "empty-text", "duplicates"]
    with pytest.raises(DataError) as caught:
        report.raise_if_failed()
    assert [problem.code for problem in caught.value.problems] == ["missing-label", "empty-text"]


def test_a_report_is_plain_json() -> None:
    dataset = with_rows((None, "a"))
    report = in_words(check(dataset, held_out={"test": good(2)}), dataset, window=2)
    told = json.loads(json.dumps(report.to_dict()))
    assert told["ok"] is False
    assert told["rows"] == 21
    assert told["problems"][0]["code"] == "empty-text"
    assert told["token_lengths"]["longest"] == 3


def test_real_data_passes(shared_data: Path) -> None:
    train = read(shared_data / "bbc_news" / "train.parquet")
    test = read(shared_data / "bbc_news" / "test.parquet", train.task)
    report = in_words(check(train, held_out={"test": test}), train, window=512).raise_if_failed()
    assert report.rows == 1779
    assert report.leaks == 0
    expected = {"duplicates", "truncated", "conflicting-labels", "near-duplicates", "near-leak"}
    expected |= {"cut-off", "length-outliers"}
    assert {problem.code for problem in report.problems} <= expected
