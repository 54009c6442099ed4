"""Workbooks: sheets, cells of every type, and what is no workbook."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl
import pytest

from tunesmith.data.formats import excel
from tunesmith.data.formats.source import open_rows, source_sha256
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import read

from ..conftest import Refused

NEWS = [["text", "label"], ["a goal", "sports"], ["a vote", "politics"], ["a cup", "sports"]]


def workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_sheet_becomes_a_data_set_with_a_row_a_line(tmp_path: Path) -> None:
    path = workbook(tmp_path / "News of May.XLSX", {"rows": NEWS})
    dataset = read(path)
    assert dataset.texts == ["a goal", "a vote", "a cup"]
    assert dataset.task.labels == ("politics", "sports")
    assert [row.where for row in dataset] == [f"{path}#rows:{line}" for line in (2, 3, 4)]


def test_cells_of_every_type(tmp_path: Path) -> None:
    day, moment = datetime.date(2026, 5, 1), datetime.datetime(2026, 5, 1, 12, 30)
    header: list[object] = ["whole", "part", "flag", "day", "moment", "none", None]
    path = workbook(tmp_path / "a.xlsx", {"s": [header, [3, 2.5, True, day, moment, None, None]]})
    (row,) = open_rows(path, ReadLog())
    expected = {"whole": 3, "part": 2.5, "flag": True, "day": "2026-05-01", "moment": "2026-05-01T12:30:00"}
    assert row.values == expected | {"none": None}
    assert type(row.values["whole"]) is int


def test_empty_lines_and_empty_sheets_are_passed_over(tmp_path: Path) -> None:
    rows: list[list[object]] = [[], [None, "text", "label"], [], [None, "a", "x"], [None, None, None]]
    path = workbook(tmp_path / "a.xlsx", {"empty": [], "full": rows})
    log = ReadLog()
    found = list(open_rows(path, log))
    assert [(row.values, row.line) for row in found] == [({"text": "a", "label": "x"}, 4)]
    assert log.notes == []


def test_another_sheet_is_named_after_the_file(tmp_path: Path, refused: Refused) -> None:
    second = [["text", "label"], ["z", "y"]]
    path = workbook(tmp_path / "a.xlsx", {"first": NEWS, "2 nd": second})
    log = ReadLog()
    assert len(list(open_rows(path, log))) == 3
    assert log.notes == [f'sheet "first" is read; for another: {path}#2 nd']
    named = Path(f"{path}#2 nd")
    assert [row.values["text"] for row in open_rows(named, ReadLog())] == ["z"]
    assert len({source_sha256(Path(f"{path}{part}")) for part in ("", "#first", "#2 nd")}) == 3
    problem = refused(lambda: list(open_rows(Path(f"{path}#third"), ReadLog())))
    assert (problem.code, problem.where) == ("no-part", str(path))
    assert "first, 2 nd" in problem.what


def test_a_name_with_a_hash_that_exists_is_a_whole_file(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx#b.xlsx", {"rows": NEWS})
    assert len(list(open_rows(path, ReadLog()))) == 3


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty-file"), (b"text,label\na,b\n", "bad-workbook"), (b"PK\3\4 broken", "bad-workbook")],
)
def test_what_is_no_workbook_is_refused(tmp_path: Path, refused: Refused, content: bytes, code: str) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    assert refused(lambda: list(open_rows(path, ReadLog()))).code == code


def test_a_small_file_that_becomes_a_huge_one_is_refused(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "a.xlsx", {"rows": NEWS})
    monkeypatch.setattr(excel, "_MOST_BYTES", 1_000_000)
    assert len(list(open_rows(path, ReadLog()))) == 3
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet9.xml", b"0" * 2_000_000)
    assert path.stat().st_size < 20_000
    assert refused(lambda: list(open_rows(path, ReadLog()))).code == "too-large"


def test_a_workbook_without_rows_and_one_with_two_columns_of_a_name(tmp_path: Path, refused: Refused) -> None:
    empty = workbook(tmp_path / "a.xlsx", {"one": [], "two": []})
    assert refused(lambda: list(open_rows(empty, ReadLog()))).code == "no-rows"
    header = workbook(tmp_path / "b.xlsx", {"one": [["text", "label"]]})
    assert refused(lambda: list(open_rows(header, ReadLog()))).code == "no-rows"
    twice = workbook(tmp_path / "c.xlsx", {"one": [["text", "text"], ["a", "b"]]})
    problem = refused(lambda: list(open_rows(twice, ReadLog())))
    assert (problem.code, problem.where) == ("duplicate-column", f"{twice}#one:1")
