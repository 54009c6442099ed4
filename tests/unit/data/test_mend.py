"""What can be mended is, and is told."""

from __future__ import annotations

from tunesmith.data.check import check
from tunesmith.data.dataset import dataset_of
from tunesmith.data.mend import mend
from tunesmith.data.read import read
from tunesmith.data.write import write_dataset
from tunesmith.task import Task

from .conftest import Save


def test_good_data_stays_as_it_is() -> None:
    dataset = dataset_of(Task(labels=("b", "a")), ["one", "two"], ["a", "b"])
    mended, done = mend(dataset, labels_given=True)
    assert done == ()
    assert mended.sha256 == dataset.sha256
    assert mended.task == dataset.task


def test_everything_mendable_is_mended_with_counts() -> None:
    rows = [
        (" one\n", "Sport"),
        ("two", "Sport"),
        ("three", "sport "),
        ("Three", "sport"),
        ("", "b"),
        (None, "b"),
        ("four", None),
        ("five", "b"),
        ("FIVE", "Sport"),
        ("six", "b"),
    ]
    dataset = dataset_of(Task(), [text for text, _ in rows], [label for _, label in rows], "f")
    mended, done = mend(dataset)
    assert list(zip(mended.texts, mended.targets, strict=True)) == [
        ("one", "Sport"),
        ("two", "Sport"),
        ("three", "Sport"),
        ("six", "b"),
    ]
    assert mended.where(3) == "f:10"
    assert mended.task.labels == ("Sport", "b")
    assert done == (
        "1 row trimmed of white space around the text",
        "1 row relabelled from 'sport ' to 'Sport'",
        "1 row relabelled from 'sport' to 'Sport'",
        "2 rows dropped: no text",
        "1 row dropped: no label",
        "2 rows dropped: their text stands under several labels",
        "1 row dropped: their text stands in an earlier row",
    )
    assert not [problem for problem in check(mended).problems if problem.severity == "error"]


def test_listed_labels_decide_the_spelling() -> None:
    dataset = dataset_of(
        Task(labels=("sport", "US", "us")), list("abcdef"), ["Sport", "SPORT", "US", "us", "Us", "x"]
    )
    mended, _ = mend(dataset, labels_given=True)
    assert mended.targets == ["sport", "sport", "US", "us", "Us", "x"]
    assert mended.task == dataset.task


def test_a_lone_label_is_trimmed_and_plurals_stay() -> None:
    mended, _ = mend(dataset_of(Task(), ["one", "two", "three"], ["a ", "new", "news"]))
    assert mended.targets == ["a", "new", "news"]


def test_a_file_with_bad_bytes_and_rows_can_be_fixed(save: Save) -> None:
    rows = b"".join(b"text number %d,%s\n" % (number, b"ab"[number % 2 :][:1]) for number in range(20))
    path = save("a.csv", b"text,label\n" + rows + b"caf\xe9,a\nragged\n")
    assert not check(read(path)).ok
    mended, done = mend(read(path, lenient=True))
    assert done == (
        "1 row mended: bytes that are no character were replaced by \ufffd",
        "1 row left out: this row has 1 cells, but the first row has 2",
    )
    assert check(mended).ok
    write_dataset(path.with_name("fixed.csv"), mended)
    fixed = read(path.with_name("fixed.csv"))
    assert fixed.problems == ()
    assert fixed.sha256 == mended.sha256
