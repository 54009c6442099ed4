"""Which column holds the text and which the label."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunesmith.data.cells import CellError, labels_of
from tunesmith.data.formats.rows import Row
from tunesmith.data.names import GENERIC_LABEL_NAMES, LABEL_NAMES, TEXT_NAMES, folded_name
from tunesmith.errors import DataError, Problem

__all__ = [
    "FLAGS",
    "Column",
    "Columns",
    "columns_of",
    "infer_columns",
    "infer_text_column",
    "listed_names",
    "refuse_missing",
]

FLAGS = "name the columns with --text-column and --label-column"
_MOST_LABELS = 100
_LONGEST_LABEL_CHARS = 100
# a column of texts must be this much longer than the next to be taken for the text
_CLEARLY_LONGER = 1.5


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns to read; `inferred` where the user did not name both."""

    text: str
    label: str
    inferred: bool


@dataclass(frozen=True, slots=True)
class Column:
    """What the first rows show of a column."""

    name: str
    mean_chars: float
    """Of the cells that hold words; 0 where none does."""
    may_be_label: bool

    @property
    def known_as(self) -> str:
        """The name as the lists of known names spell it."""
        return folded_name(self.name)


def infer_columns(where: str, sample: Sequence[Row], text: str | None, label: str | None) -> Columns:
    """Choose the columns that `text` and `label` do not name from the first rows.

    Raises DataError where a named column is missing, where none fits, or where several fit equally well.
    """
    columns = columns_of(sample)
    refuse_missing(where, columns, text=text, label=label)
    inferred = text is None or label is None
    by_name = [label] if label else _labels_by_name(columns)
    texts = [text] if text else _texts(columns, without=by_name)
    labels = by_name or [
        column.name for column in columns if column.may_be_label and column.name not in texts
    ]
    _refuse_unclear(where, columns, texts, labels)
    return Columns(texts[0], labels[0], inferred)


def infer_text_column(where: str, sample: Sequence[Row], text: str | None = None) -> str:
    """Choose the column of the text alone, for rows that need no label; raises as `infer_columns`."""
    columns = columns_of(sample)
    refuse_missing(where, columns, text=text)
    texts = [text] if text else _texts(columns, without=_labels_by_name(columns))
    _refuse_unclear(where, columns, texts, ["unused"])
    return texts[0]


def columns_of(sample: Sequence[Row]) -> list[Column]:
    """The columns of the first rows, in order of appearance."""
    names = dict.fromkeys(name for row in sample for name in row.values)
    return [_column(name, [row.values.get(name) for row in sample]) for name in names]


def _column(name: str, cells: list[object]) -> Column:
    words = [cell for cell in cells if isinstance(cell, str) and any(map(str.isalpha, cell))]
    mean_chars = sum(map(len, words)) / len(words) if 2 * len(words) >= len(cells) else 0.0
    return Column(name, mean_chars, _may_be_labels(cells))


def _may_be_labels(cells: list[object]) -> bool:
    try:
        labels = [label for cell in cells for label in labels_of(cell) or ()]
    except CellError:
        return False
    few = max(2, min(_MOST_LABELS, len(labels) // 2))
    return 0 < len(set(labels)) <= few and max(map(len, labels)) <= _LONGEST_LABEL_CHARS


def _labels_by_name(columns: list[Column]) -> list[str]:
    for known in GENERIC_LABEL_NAMES:
        found = [column.name for column in columns if column.known_as == known]
        if found:
            return found
    return [column.name for column in columns if column.known_as in LABEL_NAMES]


def _texts(columns: list[Column], without: list[str]) -> list[str]:
    """The column of the text, or all that may be it."""
    others = [column for column in columns if column.name not in without]
    exact = [column.name for column in others if column.known_as == "text"]
    known = [column for column in others if column.known_as in TEXT_NAMES]
    return (
        exact
        or _longest(known)
        or _longest([column for column in others if not column.may_be_label] or others)
    )


def _longest(columns: list[Column]) -> list[str]:
    if len(columns) == 1:
        return [columns[0].name]
    longest = max((column.mean_chars for column in columns), default=0.0)
    return [column.name for column in columns if column.mean_chars * _CLEARLY_LONGER > longest]


def refuse_missing(where: str, columns: list[Column], **wanted: str | None) -> None:
    """Raise DataError where a wanted column is missing, or is wanted twice; by the flag that names it."""
    names = [column.name for column in columns]
    problems = [
        _missing(where, names, name, flag)
        for flag, name in wanted.items()
        if name is not None and name not in names
    ]
    if problems:
        raise DataError(problems)
    if len(set(wanted.values()) - {None}) < len([name for name in wanted.values() if name]):
        what = f'the text and what it is answered with are both to be read from column "{wanted["text"]}"'
        raise DataError(Problem("same-column", what, where, FLAGS))


def _missing(where: str, names: list[str], name: str, flag: str) -> Problem:
    near = difflib.get_close_matches(name.casefold(), {each.casefold(): each for each in names}, n=1)
    nearest = next((each for each in names if near and each.casefold() == near[0]), None)
    fix = f"name the column with --{flag}-column or in task.yaml"
    if nearest:
        fix = f'did you mean "{nearest}"? {fix}'
    elif names[:1] == ["column_1"]:
        fix = f"add a header line, for the first row of the file is data; or {fix}"
    return Problem(
        "no-column", f'no column is named "{name}"; the columns are {listed_names(names)}', where, fix
    )


def _refuse_unclear(where: str, columns: list[Column], texts: list[str], labels: list[str]) -> None:
    names = listed_names(column.name for column in columns)
    problems = []
    for what, found in (("text", texts), ("label", labels)):
        if not found:
            told = f"no column seems to hold the {what}; the columns are {names}"
            problems.append(Problem("no-column", told, where, FLAGS))
        elif len(found) > 1:
            told = f"the {what} may be in any of {len(found)} columns: {listed_names(found)}"
            problems.append(Problem("ambiguous-column", told, where, FLAGS))
    if problems:
        raise DataError(problems)


def listed_names(names: Iterable[str]) -> str:
    """Column names as messages show them."""
    return ", ".join(f'"{name}"' for name in names)
