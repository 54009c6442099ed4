"""How a CSV file was written: its delimiter, and whether its first row names the columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice

from tunesmith.data.names import LABEL_NAMES, TEXT_NAMES, folded_name

__all__ = ["first_row_is_data", "sniff_delimiter"]

_DELIMITERS = (",", "\t", ";", "|")
# a file of one column has no delimiter: nothing that is typed may part its cells
_NO_DELIMITER = "\x1f"
_SAMPLE_RECORDS = 100
_LONGEST_NAME_CHARS = 100
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


def sniff_delimiter(lines: Sequence[str], suffix: str) -> str:
    """The delimiter by which most records are as wide as the first; a comma, or a tab in .tsv, on a tie."""
    preferred = "\t" if suffix == ".tsv" else ","
    order = sorted(_DELIMITERS, key=lambda delimiter: delimiter != preferred)
    shares = [_share_as_wide(_records(lines, delimiter)) for delimiter in order]
    best = max(shares)
    return order[shares.index(best)] if best > 0 else _NO_DELIMITER


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return [row for row in islice(csv.reader(lines, delimiter=delimiter), _SAMPLE_RECORDS) if row]
    except csv.Error:
        return []


def _share_as_wide(records: list[list[str]]) -> float:
    if not records or len(records[0]) < 2:
        return 0.0
    return sum(len(record) == len(records[0]) for record in records) / len(records)


def first_row_is_data(lines: Sequence[str], delimiter: str) -> bool:
    """Whether a file has no header: its first row holds a number, a long text or a value seen below it."""
    records = _records(lines, delimiter)
    if not records:
        return False
    first, *others = records
    names = set(map(folded_name, first))
    if names & (TEXT_NAMES | LABEL_NAMES) or _is_count(first):
        return False
    return any(map(_is_value, first)) or _recurs(first, others)


def _is_count(cells: list[str]) -> bool:
    # 0, 1, 2, … are the names that a table without names gets when it is saved
    named = [cell for cell in cells if cell]
    return named == [str(number) for number in range(len(named))]


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip())) or len(cell) > _LONGEST_NAME_CHARS


def _recurs(first: list[str], others: list[list[str]]) -> bool:
    # a row equal to the first is a header repeated where files were joined
    below = [other for other in others if other != first and len(other) == len(first)]
    return any(cell and any(other[at] == cell for other in below) for at, cell in enumerate(first))
