"""Row: what every format gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.problems import refuse
from tunesmith.errors import DataError, Problem

__all__ = ["MAX_RECORD_CHARS", "Row", "refuse_bad_columns", "too_long"]

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
