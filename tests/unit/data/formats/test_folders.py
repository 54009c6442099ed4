"""A directory for each class: what is read, what is skipped, what is refused."""

from __future__ import annotations

from pathlib import Path

from tunesmith.data.formats.source import open_rows
from tunesmith.data.problems import ReadLog

from ..conftest import Refused, Save


def test_labels_are_directories_and_hidden_files_are_skipped(tmp_path: Path, save: Save) -> None:
    save("news/sport/2.txt", "second")
    save("news/sport/1", "first\nof two lines")
    save("news/politics/1.txt", "third")
    save("news/politics/.DS_Store", b"\0\1")
    save("news/.git/config", "hidden")
    save("news/README.txt", "beside the classes")
    rows = list(open_rows(tmp_path / "news", ReadLog()))
    assert [(row.values["text"], row.values["label"]) for row in rows] == [
        ("third", "politics"),
        ("first\nof two lines", "sport"),
        ("second", "sport"),
    ]
    assert rows[0].where == f"{tmp_path / 'news/politics/1.txt'}:1"


def test_one_bad_byte_is_only_a_warning(tmp_path: Path, save: Save) -> None:
    save("news/a/1.txt", b"it cost \xa315")
    save("news/a/2.txt", "naïve ünï".encode() + b" \xa3")
    save("news/b/3.txt", "fünf".encode("utf-16"))
    log = ReadLog()
    texts = [row.values["text"] for row in open_rows(tmp_path / "news", log)]
    assert texts == ["it cost £15", "naïve ünï \ufffd", "fünf"]
    (problem,) = log.problems
    assert (problem.code, problem.severity, problem.count) == ("bad-encoding", "warning", 2)
    assert "1.txt" in problem.where


def test_a_file_that_is_no_text_is_an_error_and_left_out(tmp_path: Path, save: Save) -> None:
    save("news/a/1.txt", "fine")
    save("news/a/2.png", b"\x89PNG\0\0")
    log = ReadLog()
    assert [row.values["text"] for row in open_rows(tmp_path / "news", log)] == ["fine"]
    assert [(problem.code, problem.severity) for problem in log.problems] == [("not-text", "error")]


def test_directories_that_are_no_classes_are_refused_with_advice(
    tmp_path: Path, save: Save, refused: Refused
) -> None:
    save("top/news/sport/1.txt", "text")
    save("files/train.csv", "text,label\n")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("top", "top/news"),
        ("files", "train.csv"),
        ("empty", "one directory for each label"),
    ):
        problem = refused(lambda name=name: list(open_rows(tmp_path / name, ReadLog())))  # type: ignore[misc]
        assert (problem.code, problem.where) == ("no-class-folders", str(tmp_path / name))
        assert said in problem.fix


def test_a_file_over_10_mb_is_refused(tmp_path: Path, save: Save, refused: Refused) -> None:
    path = save("news/a/1.txt", b"x" * 11_000_000)
    problem = refused(lambda: list(open_rows(tmp_path / "news", ReadLog())))
    assert (problem.code, problem.where) == ("line-too-long", f"{path}:1")
