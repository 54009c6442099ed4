"""The values of further columns of a file, for the rows of a dataset that was read from it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tunesmith.data.cells import CellError, label_of
from tunesmith.data.dataset import Dataset
from tunesmith.data.formats.source import open_rows
from tunesmith.data.infer import listed_names
from tunesmith.data.problems import ReadLog
from tunesmith.errors import DataError, Problem

__all__ = ["EMPTY", "column_values"]

EMPTY = "(empty)"
_LONGEST_VALUE = 80


def column_values(path: Path | str, names: Sequence[str], dataset: Dataset) -> Mapping[str, Sequence[str]]:
    """For each of `names` the value in each row of `dataset`, which was read from `path`.

    Rows are found again by file and line, so that a dataset does not hold what is rarely asked for. Raises
    DataError where no row has such a column.
    """
    if not names:
        return {}
    places = _places(dataset)
    values = {name: np.full(len(dataset), EMPTY, object) for name in names}
    seen: dict[str, None] = {}
    for row in open_rows(Path(path), ReadLog(lenient=True)):
        seen |= dict.fromkeys(row.values)
        at = places.get((row.file, row.line))
        if at is not None:
            for name in names:
                values[name][at] = _shown(row.values.get(name))
    _refuse_missing(path, names, list(seen))
    return {name: column.tolist() for name, column in values.items()}


def _places(dataset: Dataset) -> dict[tuple[str, int], int]:
    places: dict[tuple[str, int], int] = {}
    start = 0
    for batch in dataset.batches():
        stand = zip(batch.column("file").to_pylist(), batch.column("line").to_pylist(), strict=True)
        places |= {place: start + at for at, place in enumerate(stand)}
        start += batch.num_rows
    return places


def _shown(cell: object) -> str:
    """The cell as a value by which rows are joined: a list of several, or a mapping, as Python writes it."""
    try:
        value = label_of(cell)
    except CellError:
        value = str(cell)
    return EMPTY if value is None else value.strip()[:_LONGEST_VALUE]


def _refuse_missing(path: Path | str, names: Sequence[str], found: Sequence[str]) -> None:
    problems = []
    for name in names:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            what = f'no column is named "{name}"; the columns are {listed_names(found)}'
            fix = f'did you mean "{near[0]}"?' if near else "name a column of the file"
            problems.append(Problem("no-column", what, str(path), f"{fix} (--slice-column)"))
    if problems:
        raise DataError(problems)
