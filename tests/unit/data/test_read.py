"""Paths become datasets: targets, places, notes, problems."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunesmith.data.dataset import SCHEMA
from tunesmith.data.read import read, stream
from tunesmith.errors import DataError
from tunesmith.task import Task

from .conftest import Refused, Save

GOOD = "text,label\nI liked it,good\nI did not,bad\nFine,good\n"


def test_a_dataset_knows_task_places_and_notes(save: Save) -> None:
    path = save("a.csv", GOOD)
    dataset = read(str(path))
    assert dataset.texts == ["I liked it", "I did not", "Fine"]
    assert dataset.targets == ["good", "bad", "good"]
    assert dataset.task == Task(labels=("bad", "good"))
    assert dataset.where(1) == f"{path}:3"
    assert dataset.table.schema == SCHEMA
    assert not dataset.problems
    assert dataset.notes == ('text is read from column "text", label from "label"', "2 labels: bad, good")


def test_the_columns_used_stand_in_the_task(save: Save) -> None:
    dataset = read(save("a.csv", "category,description\nx,one text\ny,another text\nx,third\n"))
    assert (dataset.task.text_column, dataset.task.target_column) == ("description", "category")
    assert 'text is read from column "description", label from "category"' in dataset.notes


def test_the_columns_of_a_task_are_used_and_arguments_go_before_them(save: Save) -> None:
    path = save("a.csv", "title,body,kind\nA,long text,x\nB,longer text,y\n")
    task = Task(labels=("y", "x"), text_column="title", target_column="kind")
    dataset = read(path, task)
    assert (dataset.texts, dataset.task, dataset.notes) == (["A", "B"], task, ())
    assert read(path, task, text_column="body").texts == ["long text", "longer text"]


def test_a_missing_column_of_a_task_is_refused(save: Save, refused: Refused) -> None:
    path = save("a.csv", "txt,label\na,x\n")
    problem = refused(lambda: read(path, Task()))
    assert (problem.code, problem.where) == ("no-column", str(path))
    assert '"txt"' in problem.fix


def test_labels_of_a_task_keep_their_order_and_unknown_ones_are_read(save: Save) -> None:
    dataset = read(save("a.csv", GOOD), Task(labels=("good", "so-so")))
    assert dataset.task.labels == ("good", "so-so")
    assert dataset.targets == ["good", "bad", "good"]


def test_labels_are_text_in_their_own_spelling(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c", None], "label": [10.0, 9.0, None, float("nan")]}), path)
    dataset = read(path)
    assert dataset.targets == ["10", "9", None, None]
    assert dataset.task.labels == ("9", "10")
    assert dataset.table.column("text").null_count == 1


def test_odd_spellings_survive(save: Save) -> None:
    path = save("a.csv", 'text,label\na,"Sci, Tech"\nb,🙂\nc,sports \nd, \n')
    assert read(path).targets == ["Sci, Tech", "🙂", "sports ", None]


def test_rows_with_several_labels_are_left_out_and_told(save: Save) -> None:
    path = save(
        "a.jsonl",
        '{"text":"a","labels":["x"]}\n{"text":"b","labels":["x","y"]}\n{"text":"c","labels":"y"}\n',
    )
    dataset = read(path)
    assert dataset.targets == ["x", "y"]
    (problem,) = dataset.problems
    assert (problem.code, problem.severity, problem.where) == ("several-labels", "error", f"{path}:2")


def test_invalid_utf8_is_a_problem_with_its_row(save: Save) -> None:
    lines = [
        b"text,label",
        *[b"row %d,%s" % (number, b"ab"[number % 2 : number % 2 + 1]) for number in range(9)],
    ]
    lines[6] = b"bad \xff byte,a"
    path = save("a.csv", b"\n".join(lines))
    (problem,) = read(path).problems
    assert (problem.code, problem.severity, problem.where) == ("bad-encoding", "error", f"{path}:7")
    (problem,) = read(path, lenient=True).problems
    assert (problem.code, problem.severity) == ("bad-encoding", "warning")
    assert read(path, lenient=True).texts[5] == "bad \ufffd byte"


def test_free_text_is_no_label(save: Save, refused: Refused) -> None:
    rows = "".join(
        f"prompt {number},a completion that goes on for a while {number}\n" for number in range(200)
    )
    path = save("a.csv", "text,label\n" + rows)
    problem = refused(lambda: read(path))
    assert problem.code == "too-many-labels"
    assert "200 different values" in problem.what
    assert "--label-column" in problem.fix


def test_one_row_for_each_of_many_labels_is_read(save: Save) -> None:
    rows = "".join(f"text {number},intent {number}\n" for number in range(77))
    assert len(read(save("a.csv", "text,label\n" + rows)).task.labels) == 77


def test_one_label_is_read_for_the_check_to_refuse(save: Save) -> None:
    dataset = read(save("a.csv", "text,label\na,x\nb,x\n"))
    assert dataset.task.labels == ("x",)
    assert "1 label: x" in dataset.notes


def test_many_labels_are_noted_in_short(save: Save) -> None:
    rows = "".join(f"text {number},c{number % 30:02d}\n" for number in range(90))
    assert read(save("a.csv", "text,label\n" + rows)).notes[-1].endswith("c09, …")


def test_rows_beyond_the_sample_are_read(save: Save) -> None:
    rows = "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(70_000))
    path = save("a.csv", "text,label\n" + rows)
    dataset = read(path)
    assert len(dataset) == 70_000
    assert dataset.where(69_999) == f"{path}:70001"
    assert dataset.take([69_999, 0]).texts == ["text 69999", "text 0"]


def test_every_format_gives_the_same_dataset(save: Save, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]}), tmp_path / "a.parquet")
    save("folders/x/1.txt", "a")
    save("folders/y/2.txt", "b")
    paths = [
        save("a.csv.gz", "text,label\na,x\nb,y\n"),
        save("a.tsv", "text\tlabel\na\tx\nb\ty\n"),
        save("a.jsonl.zst", '{"text":"a","label":"x"}\n{"text":"b","label":"y"}\n'),
        save("a.json", '{"data":[{"text":"a","label":"x"},{"text":"b","label":"y"}]}'),
        save("chat.jsonl", '{"prompt":"a","completion":" x"}\n{"prompt":"b","completion":" y"}\n'),
        tmp_path / "a.parquet",
        tmp_path / "folders",
    ]
    assert len({read(path).sha256 for path in paths}) == 1


def test_a_stream_stops_at_the_first_bad_row(save: Save) -> None:
    path = save("a.csv", "text,label\na,x\nb\nc,y\n")
    rows = stream(path)
    assert next(rows).values == {"text": "a", "label": "x"}
    with pytest.raises(DataError, match="ragged-row"):
        next(rows)
    assert [row.line for row in stream(path, lenient=True)] == [2, 4]


def test_a_missing_file_is_told_before_the_first_row(tmp_path: Path, refused: Refused) -> None:
    assert refused(lambda: stream(tmp_path / "a.csv")).code == "no-file"


def test_the_agnews_file_without_header(shared_data: Path) -> None:
    dataset = read(shared_data / "ag_news" / "raw" / "test.csv")
    assert (len(dataset), dataset.task.labels, dataset.problems) == (7600, ("1", "2", "3", "4"), ())
    assert (dataset.task.text_column, dataset.task.target_column) == ("column_3", "column_1")
    assert any("column_1, column_2, column_3" in note for note in dataset.notes)
    assert dataset[0].text.startswith("Unions representing workers at Turner")


def test_the_agnews_parquet_files(shared_data: Path) -> None:
    train = read(shared_data / "ag_news" / "train.parquet")
    test = read(shared_data / "ag_news" / "test.parquet", train.task)
    assert (len(train), len(test)) == (9977, 7600)
    assert train.task.labels == ("Business", "Sci/Tech", "Sports", "World")


def test_the_bbc_articles_as_folders(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "bbc_news" / "raw" / "bbc-fulltext.zip") as archive:
        archive.extractall(tmp_path)
    dataset = read(tmp_path / "bbc-fulltext" / "bbc")
    assert (len(dataset), len(dataset.task.labels)) == (2225, 5)
    (problem,) = dataset.problems
    assert (problem.code, problem.severity) == ("bad-encoding", "warning")
    assert problem.where.endswith("sport/199.txt")
    with pytest.raises(DataError, match="bbc-fulltext/bbc"):
        read(tmp_path / "bbc-fulltext")


def test_texts_with_several_labels(shared_data: Path) -> None:
    dataset = read(shared_data / "go_emotions" / "train.parquet")
    assert (dataset.task.kind, len(dataset.task.labels), len(dataset)) == ("multi_label", 28, 43410)
    forced = read(shared_data / "go_emotions" / "train.parquet", kind="single_label")
    assert [(problem.code, problem.count) for problem in forced.problems] == [("several-labels", 7102)]
