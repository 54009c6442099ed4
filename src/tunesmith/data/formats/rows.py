"""Row: what every format gives."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.data.problems import refuse
from tunesmith.errors import DataError, Problem

__all__ = ["MAX_RECORD_CHARS", "Row", "plain_cell", "refuse_bad_columns", "row_of", "too_long"]

MAX_RECORD_CHARS = 10_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row by column; `line` is where it begins, or its number where there are no lines."""

    values: dict[str, object]
    line: int
    file: str

    @property
    def where(self) -> str:
        """file:line."""
        return f"{self.file}:{self.line}"


def too_long(path: str | Path, line: int, hint: str = "") -> DataError:
    """The error for a record that is larger than any row of text should be."""
    what = f"the record that begins here is longer than {MAX_RECORD_CHARS // 1_000_000} MB"
    return refuse("line-too-long", what, f"{path}:{line}", hint or "split the text, or write one row a line")


def row_of(values: dict[str, object], line: int, file: str) -> Row:
    """A row; raise DataError where a text in it is longer than any should be."""
    if any(isinstance(cell, str) and len(cell) > MAX_RECORD_CHARS for cell in values.values()):
        raise too_long(file, line)
    return Row(values, line, file)


def plain_cell(cell: object) -> object:
    """A cell of a workbook or a database as text, number, truth or None; dates as ISO 8601 has them."""
    match cell:
        case str():
            return without_bad_chars(cell)[0]
        case decimal.Decimal():
            return int(cell) if cell == cell.to_integral_value() else float(cell)
        case datetime.date() | datetime.time():
            return cell.isoformat()
        case uuid.UUID() | datetime.timedelta():
            return str(cell)
        case bytes() | memoryview():
            return bytes(cell).decode("utf-8", "replace")
        case _:
            return cell


def refuse_bad_columns(columns: Sequence[str], where: str) -> None:
    """Raise DataError where columns have no name or the same name."""
    problems = []
    if "" in columns:
        numbers = ", ".join(str(at) for at, name in enumerate(columns, 1) if not name)
        fix = "name it, or drop it (pandas: `to_csv(..., index=False)`)"
        problems.append(Problem("empty-column-name", f"column {numbers} has no name", where, fix))
    for name, count in Counter(filter(None, columns)).items():
        if count > 1:
            fix = "give each column a name of its own"
            problems.append(Problem("duplicate-column", f'{count} columns are named "{name}"', where, fix))
    if problems:
        raise DataError(problems)
