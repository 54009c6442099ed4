"""A file of any format -> the different texts in it, and where each stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.cells import CellError, text_of
from tunesmith.data.infer import infer_text_column
from tunesmith.data.problems import refuse
from tunesmith.data.read import sampled, stream
from tunesmith.data.texts import EMPTY_KEY, same_text_key
from tunesmith.errors import DataError, Problem

__all__ = ["Texts", "read_texts"]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of which no two are the same but for case and white space; `where` is file:line of each."""

    texts: tuple[str, ...]
    where: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)


def read_texts(path: Path, text_column: str | None = None) -> Texts:
    """Read the texts of a file; labels that stand beside them are not looked at.

    Without `text_column` the column is inferred, and `notes` say so. Raises DataError where a row cannot be
    read or no row has a text, and StorageError.
    """
    sample, rows = sampled(stream(path))
    column = infer_text_column(str(path), sample, text_column)
    first: dict[int, tuple[str, str]] = {}
    read = 0
    for row in rows:
        read += 1
        text = _text(row.values.get(column), row.where)
        first.setdefault(same_text_key(text), (text, row.where))
    first.pop(EMPTY_KEY, None)
    if not first:
        raise refuse(
            "no-rows", "no row has a text", path, "check the file, or name the column: --text-column"
        )
    texts, where = zip(*first.values(), strict=True)
    return Texts(texts, where, tuple(_notes(column, text_column, read - len(first))))


def _text(cell: object, where: str) -> str:
    try:
        return text_of(cell) or ""
    except CellError as fault:
        raise DataError(Problem(fault.code, fault.what, where, fault.fix)) from fault


def _notes(column: str, named: str | None, left_out: int) -> list[str]:
    notes = [] if named else [f'text is read from column "{column}"']
    if left_out:
        notes.append(
            f"rows that are not asked about, as they are empty or say what an earlier one does: {left_out:,}"
        )
    return notes
