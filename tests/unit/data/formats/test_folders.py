"""A directory for each class: what is read, what is skipped, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

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


PAGE = """<html><head><title>Town wins the cup</title></head><body>
<nav><a href="/">Home</a> <a href="/shop">Buy our mugs</a></nav>
<article><h1>Town wins the cup</h1>
<p>Town beat the champions in the last minute of a final that nobody in the stadium will forget.</p>
<p>The captain said that the team had worked for this day since the summer, and that the city may sing.</p>
</article><footer>Copyright, cookies and all rights reserved</footer></body></html>"""


def test_of_a_page_of_html_the_article_is_read(tmp_path: Path) -> None:
    (tmp_path / "sports").mkdir()
    (tmp_path / "sports" / "a.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "sports" / "b.HTM").write_text("<html><body><script>fill()</script></body></html>")
    (tmp_path / "sports" / "c.txt").write_text("<p>as it is</p>", encoding="utf-8")
    log = ReadLog()
    first, plain = open_rows(tmp_path, log)
    assert "the last minute of a final" in str(first.values["text"])
    assert "mugs" not in str(first.values["text"])
    assert "cookies" not in str(first.values["text"])
    assert plain.values == {"text": "<p>as it is</p>", "label": "sports"}
    (problem,) = log.problems
    assert (problem.code, problem.severity) == ("no-words", "warning")
    assert problem.where.endswith("b.HTM")


def test_a_format_without_its_package_says_what_to_install(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    (tmp_path / "sports").mkdir()
    (tmp_path / "sports" / "a.html").write_text(PAGE, encoding="utf-8")
    problem = refused(lambda: list(open_rows(tmp_path, ReadLog())))
    assert problem.code == "data-extra"
    assert "tunesmith[data]" in problem.fix
