from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.data.conftest import Refused, Save
from tunesmith.config import parse_values
from tunesmith.data.cells import CellError, labels_of
from tunesmith.data.check import check
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.mend import mend
from tunesmith.data.read import read
from tunesmith.data.several import infer_kind, looks_joined, sniff_separator
from tunesmith.data.split import split
from tunesmith.data.write import write_dataset
from tunesmith.errors import ConfigError, Problem
from tunesmith.task import Task

SEVERAL = Task(kind="multi_label", labels=("a", "b", "c"))


def _of(*targets: tuple[str, ...] | None, task: Task = SEVERAL) -> Dataset:
    return dataset_of(task, [f"text {index}" for index in range(len(targets))], targets)


def _problem(dataset: Dataset, code: str) -> Problem:
    (found,) = [problem for problem in check(dataset).problems if problem.code == code]
    return found


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        (["a", "b"], ("a", "b")),
        (["a", "b", "a"], ("a", "b")),
        ([], ()),
        ([None, "a"], ("a",)),
        ([1, 2.0, True], ("1", "2", "true")),
        ("", ()),
        ("  ", ()),
        ("a; b ;;a", ("a", "b")),
        ('["a", "b;c"]', ("a", "b;c")),
        ("['a', \"b's\"]", ("a", "b's")),
        ("['a' 'b']", ("['a' 'b']",)),
        ("[]", ()),
        ("[a", ("[a",)),
        (3, ("3",)),
        (None, None),
        (float("nan"), None),
    ],
)
def test_cells_of_labels(cell: object, labels: tuple[str, ...] | None) -> None:
    assert labels_of(cell, ";") == labels


@pytest.mark.parametrize("cell", [{"a": 1}, [{"a": 1}], b"a", ["a", b"b"], [["a", "b"]]])
def test_cells_that_are_no_labels(cell: object) -> None:
    with pytest.raises(CellError):
        labels_of(cell)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([["a", "b"], ["a"]], "multi_label"),
        ([["a"], [], None], "multi_label"),
        ([["a"], ["b"]], "single_label"),
        ([["a", "b"], "a"], "single_label"),
        (["['a', 'b']", "['a']"], "multi_label"),
        (["a;b", "a"], "single_label"),
        ([], "single_label"),
    ],
)
def test_the_kind_is_told_by_lists(cells: list[object], kind: str) -> None:
    assert infer_kind(cells) == kind


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["a;b", "c", ""], ";"),
        (["a, x|b", "b|c", "c, d"], "|"),
        (["a, b", "c"], ","),
        (["a b", "c"], None),
        ([["a;b"], None, 3], None),
    ],
)
def test_the_separator_is_found(cells: list[object], separator: str | None) -> None:
    assert sniff_separator(cells) == separator


def test_joined_labels_are_suspected_only_where_parting_them_makes_them_fewer() -> None:
    assert looks_joined(["a;b", "b;c", "c;a", "a", "a;b;c", "c;b", "b"]) == ";"
    assert looks_joined(["Sci;Tech", "World", "Sports"]) is None
    assert looks_joined(["a", None, ["b"]]) is None


def test_lists_are_several_labels_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["p", "q", "r", "s"], "topics": [["b", "a"], [], None, ["a"]]}), path)
    dataset = read(path)
    assert dataset.task.kind == "multi_label"
    assert dataset.task.labels == ("a", "b")
    assert dataset.target_lists == [["b", "a"], [], None, ["a"]]
    assert dataset[0].target == ("b", "a")
    assert dataset[1].target == ()
    assert dataset.label_counts == {"a": 2, "b": 1}
    assert any("multi-label" in note for note in dataset.notes)
    assert _problem(dataset, "missing-label").where == f'{path}:3, column "topics"'
    told = _problem(dataset, "no-labels")
    assert (told.severity, told.count) == ("info", 1)


def test_a_separator_is_told_or_found(save: Save) -> None:
    path = save("a.csv", "text,labels\np,a | b;x\nq,\nr,b;x\n")
    assert read(path).task.kind == "single_label"
    found = read(path, kind="multi_label")
    assert found.task.separator in (";", "|")
    assert any("parted by" in note for note in found.notes)
    told = read(path, Task(kind="multi_label", text_column="text", target_column="labels", separator="|"))
    assert told.target_lists == [["a", "b;x"], [], ["b;x"]]
    assert not any("parted" in note for note in told.notes)
    assert read(path, Task(separator="|", target_column="labels")).task.kind == "multi_label"


def test_cells_that_look_joined_are_told(save: Save) -> None:
    cells = ["a;b", "b;c", "a;c", "c", "b;a"] * 3
    rows = "".join(f"t{number},{cell}\n" for number, cell in enumerate(cells))
    dataset = read(save("a.csv", f"text,label\n{rows}"))
    assert dataset.task.kind == "single_label"
    assert any("--kind multi-label" in note for note in dataset.notes)


def test_a_kind_that_is_given_is_not_guessed(save: Save) -> None:
    path = save("a.jsonl", '{"text":"p","labels":["a","b"]}\n{"text":"q","labels":["a"]}\n')
    dataset = read(path, kind="single_label")
    assert [problem.code for problem in dataset.problems] == ["several-labels"]


def test_free_text_is_not_several_labels(save: Save, refused: Refused) -> None:
    rows = [{"text": f"t{n}", "labels": [f"a rather long sentence, number {n}", "x"]} for n in range(99)]
    path = save("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert refused(lambda: read(path)).code == "too-many-labels"


@pytest.mark.parametrize("kind", ["multi-label", "multi_label"])
def test_a_task_names_its_kind(kind: str) -> None:
    assert parse_values({"kind": kind, "separator": "|"}, Task, "task.yaml").kind == "multi_label"


@pytest.mark.parametrize(
    "values", [{"kind": "several"}, {"kind": "single_label", "separator": ";"}, {"separator": ""}]
)
def test_tasks_that_make_no_sense(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_values(values, Task, "task.yaml")


def test_what_is_wrong_with_several_labels() -> None:
    task = SEVERAL.model_copy(update={"labels": ("a", "b")})
    dataset = _of(("a", "B "), ("a", "b"), ("b", "x"), ("a",), (), task=task)
    codes = {problem.code: problem for problem in check(dataset).problems}
    assert codes["label-variants"].where == 'memory:1, column "label"'
    assert {"unknown-label", "few-examples", "no-labels"} <= codes.keys()
    assert "'a' (3)" in codes["few-examples"].what
    assert not check(dataset).ok


def test_one_text_under_different_labels() -> None:
    dataset = dataset_of(SEVERAL, ["same", "Same", "other", "same "], [("a", "b"), ("b", "a"), ("c",), ()])
    told = _problem(dataset, "conflicting-labels")
    assert told.what == "the same text is 'a, b' here and without a label at memory:4"
    assert _problem(dataset, "duplicates").count == 2
    agreeing = dataset_of(SEVERAL, ["same", "same", "x"], [("a", "b"), ("b", "a"), ("c",)])
    assert "conflicting-labels" not in {problem.code for problem in check(agreeing).problems}


@pytest.mark.parametrize("targets", [[("a", "b")] * 9, [("a",), ()] * 9, [()] * 9])
def test_targets_that_teach_nothing(targets: list[tuple[str, ...]]) -> None:
    assert _problem(_of(*targets), "one-class").severity == "error"


def test_labels_of_a_held_out_set_must_be_known() -> None:
    train, test = _of(*[("a", "b"), ("b",), ()] * 8), _of(("a", "c"))
    (told,) = [p for p in check(train, held_out={"test": test}).problems if p.code == "unknown-label"]
    assert told.what == "'c' is not a label of the training data"


def test_mending_several_labels() -> None:
    texts = ["p", "q", "r", "r", "s", "", "t"]
    targets = [("a", "A"), ("a", "b"), ("b",), ("a", "b"), None, ("a",), ()]
    mended, done = mend(dataset_of(Task(kind="multi_label"), texts, targets))
    assert mended.target_lists == [["a"], ["a", "b"], []]
    assert mended.task.labels == ("a", "b")
    assert len(done) == 4


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"])
@pytest.mark.parametrize("separator", [None, ";", "|"])
def test_what_is_written_reads_the_same(tmp_path: Path, name: str, separator: str | None) -> None:
    task = SEVERAL.model_copy(update={"separator": separator, "labels": ("a", "b;", "c")})
    dataset = _of(("a", "b;"), (), ("c",), ("b;",), task=task)
    write_dataset(tmp_path / name, dataset)
    assert read(tmp_path / name, None if separator is None else task).sha256 == dataset.sha256


def test_a_hash_tells_targets_apart() -> None:
    rows: list[list[tuple[str, ...] | None]]
    rows = [[("a", "b")], [("a",), ("b",)], [("b", "a")], [()], [None], [("",)]]
    assert len({_of(*targets, task=SEVERAL).sha256 for targets in rows}) == len(rows)


def test_a_split_draws_even_shares_of_each_label() -> None:
    targets = [("a", "b") if n % 10 == 0 else ("b",) if n % 2 else () for n in range(400)]
    dataset = dataset_of(SEVERAL, [f"text {n - 200 if n >= 380 else n}" for n in range(400)], targets)
    splits = split(dataset, seed=0, validation_fraction=0.1, test_fraction=0.2)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 400
    counts = [part.label_counts for part in (splits.train, splits.validation, splits.test)]
    assert [found["a"] for found in counts] == pytest.approx([28, 4, 8], abs=1)
    assert [len(splits.validation), len(splits.test)] == pytest.approx([40, 80], abs=3)
    shared = set(splits.train.texts) & {*splits.validation.texts, *splits.test.texts}
    assert not shared, "equal texts stay together"
    again = split(
        dataset.take(list(reversed(range(400)))), seed=0, validation_fraction=0.1, test_fraction=0.2
    )
    assert sorted(again.test.texts) == sorted(splits.test.texts), "whatever the order of the rows"
    other = split(dataset, seed=1, validation_fraction=0.1, test_fraction=0.2)
    assert sorted(other.test.texts) != sorted(splits.test.texts)
