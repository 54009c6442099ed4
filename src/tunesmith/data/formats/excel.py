"""Workbooks (xlsx, xlsm, xlsb, xls, ods) -> rows of one sheet."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.data.formats.optional import needed
from tunesmith.data.formats.parts import no_such_part
from tunesmith.data.formats.rows import Row, plain_cell, refuse_bad_columns, row_of
from tunesmith.data.problems import ReadLog, refuse

__all__ = ["SUFFIXES", "rows"]

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_MOST_BYTES = 1 << 30


def rows(path: Path, part: str | None, log: ReadLog) -> Iterator[Row]:
    """The rows of the sheet named `part`, else of the first that holds any; the first row names the columns.

    Columns without a name are left out where they hold nothing. Whole numbers come as integers, dates as
    text. Raises DataError where it is no workbook, has no such sheet, or is too large.
    """
    calamine = needed("python_calamine", "python-calamine", "workbooks", path)
    _refuse_huge(path)
    try:
        with calamine.CalamineWorkbook.from_path(path) as book:
            name = _sheet(path, book, part, log)
            yield from _rows(path, name, book.get_sheet_by_name(name).to_python(skip_empty_area=False))
    except (calamine.CalamineError, zipfile.BadZipFile) as error:
        what = f"this is not a workbook that can be read: {str(error).splitlines()[0]}"
        fix = "open it and save it again without a password, or save the sheet as CSV"
        raise refuse("bad-workbook", what, path, fix) from error


def _refuse_huge(path: Path) -> None:
    """A workbook is held in memory, and a small file can become a large one."""
    size = path.stat().st_size
    if not size:
        raise refuse("empty-file", "the file is empty", path, "check that it was written and copied whole")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(entry.file_size for entry in archive.infolist()))
    if size > _MOST_BYTES:
        what = f"the workbook holds {size / 1e9:.1f} GB, more than {_MOST_BYTES / 1e9:.1f} GB"
        raise refuse("too-large", what, path, "save the sheet as CSV or Parquet, which are read as a stream")


def _sheet(path: Path, book: Any, part: str | None, log: ReadLog) -> str:
    names: list[str] = list(book.sheet_names)
    if part is not None:
        if part not in names:
            raise no_such_part(path, part, names)
        return part
    filled = [name for name in names if book.get_sheet_by_name(name).height]
    if not filled:
        raise refuse("no-rows", "no sheet of the workbook holds anything", path, "check which file it is")
    if len(filled) > 1:
        log.notes.append(f'sheet "{filled[0]}" is read; for another: {path}#{filled[1]}')
    return filled[0]


def _rows(path: Path, sheet: str, cells: list[list[object]]) -> Iterator[Row]:
    file = f"{path}#{sheet}"
    lines = [(number, line) for number, line in enumerate(cells, 1) if any(cell != "" for cell in line)]
    if not lines:
        return
    header, *lines = lines
    used = [at for at, name in enumerate(header[1]) if name != "" or any(line[at] != "" for _, line in lines)]
    columns = [str(_cell(header[1][at]) or "").strip() for at in used]
    refuse_bad_columns(columns, f"{file}:{header[0]}")
    for number, line in lines:
        values = {name: _cell(line[at]) for name, at in zip(columns, used, strict=True)}
        yield row_of(values, number, file)


def _cell(cell: object) -> object:
    match cell:
        case "":
            return None
        case float() if cell.is_integer():
            return int(cell)
        case _:
            return plain_cell(cell)
