"""Cells that say when -> seconds, so that rows can be put in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset
from tunesmith.data.problems import grouped, shown
from tunesmith.errors import DataError

__all__ = ["seconds_of"]

# with the names of months, so that day and month cannot be taken for each other
_FORMATS = (
    "%d-%b-%Y %H:%M:%S.%f",
    "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%b %d, %Y",
)


def seconds_of(cells: Sequence[str], dataset: Dataset, column: str) -> npt.NDArray[np.float64]:
    """(rows,) the cells of a column as numbers that ascend with time.

    Cells are all numbers (a year, a Unix time), or all dates: ISO 8601, RFC 2822 or a date with the name of
    its month; without a time zone they are UTC. Raises DataError with the first row that cannot be read.
    """
    for read in (float, _seconds):
        values = [_or_none(cell, read) for cell in cells]
        bad = [row for row, value in enumerate(values) if value is None or not np.isfinite(value)]
        if not bad:
            return np.asarray(values, np.float64)
    what = f"{shown(cells[bad[0]])} says no time that can be read"
    fix = "write times as 2024-05-31 or 2024-05-31T14:30, or all as numbers"
    raise DataError(grouped("bad-time", what, dataset.where(bad[0]), fix, column=column, count=len(bad)))


def _or_none(cell: str, read: Callable[[str], float]) -> float | None:
    try:
        return read(cell)
    except (ValueError, OverflowError):
        return None


def _seconds(cell: str) -> float:
    return _zoned(_parsed(cell.strip())).timestamp()


def _zoned(when: datetime) -> datetime:
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _parsed(cell: str) -> datetime:
    readers = (datetime.fromisoformat, parsedate_to_datetime, *map(_by, _FORMATS))
    for read in readers:
        try:
            return read(cell)
        except (ValueError, TypeError):
            continue
    raise ValueError(cell)


def _by(form: str) -> Callable[[str], datetime]:
    return lambda cell: datetime.strptime(cell, form)
