"""What a cell of any format says as a text or as a label."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable

__all__ = ["CellError", "label_of", "labels_of", "listed", "sorted_labels", "text_of"]

_WHOLE_NUMBER = re.compile(r"-?\d{1,18}")
# a list as Python writes it, and so pandas in a CSV cell: ['a', "b's"]
_QUOTED = r"""(?:'[^'\\]*'|"[^"\\]*")"""
_PYTHON_LIST = re.compile(rf"\[\s*(?:{_QUOTED}\s*(?:,\s*{_QUOTED}\s*)*)?\]")


class CellError(Exception):
    """A cell cannot be read as what its column is for; `code` and `what` are the problem's."""

    def __init__(self, code: str, what: str, fix: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.fix = fix


def text_of(cell: object) -> str | None:
    """The text of a cell, None where it is empty; raise CellError for a list or a mapping."""
    match cell:
        case None | "":
            return None
        case str():
            return cell
        case float() if math.isnan(cell):
            return None
        case list() | dict() | bytes():
            what = f"the cell holds a {type(cell).__name__}, not a text"
            raise CellError("bad-cell", what, "name a column of plain text, or flatten this one")
        case _:
            return str(cell)


def label_of(cell: object) -> str | None:
    """The label of a cell in its own spelling, None where it is missing.

    1, 1.0 and [1] are "1"; True is "true"; NaN, null and white space are missing. Raise CellError for
    several labels and for what is no label.
    """
    match cell:
        case bool():
            return str(cell).lower()
        case float() if cell.is_integer():
            return str(int(cell))
        case str() if not cell.strip():
            return None
        case [one]:
            return label_of(one)
        case []:
            return None
        case list():
            what = f"the cell holds {len(cell)} labels, but a text has exactly one here"
            fix = "keep one label for each text, or learn several with --kind multi-label"
            raise CellError("several-labels", what, fix)
        case dict() | bytes():
            what = f"the cell holds a {type(cell).__name__}, not a label"
            raise CellError("bad-cell", what, "name a column of plain labels, or flatten this one")
        case _:
            return text_of(cell)


def labels_of(cell: object, separator: str | None = None) -> tuple[str, ...] | None:
    """The labels of a cell, each once: none where it is an empty list or blank, None where it is missing.

    A text is a list as JSON or Python writes it, or labels parted by `separator`, with white space around
    each left out; null and NaN are missing. Raise CellError for what is no label.
    """
    match cell:
        case str() if (names := listed(cell)) is not None:
            return labels_of(names)
        case str():
            parts = cell.split(separator) if separator else [cell]
            return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
        case list():
            labels = (label_of(each) for each in cell)
            return tuple(dict.fromkeys(label for label in labels if label is not None))
        case _:
            label = label_of(cell)
            return None if label is None else (label,)


def listed(cell: str) -> list[object] | None:
    """The list that a text spells out, None where it is none."""
    cell = cell.strip()
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        names = json.loads(cell)
    except (ValueError, RecursionError):
        return [each[1:-1] for each in re.findall(_QUOTED, cell)] if _PYTHON_LIST.fullmatch(cell) else None
    return names if isinstance(names, list) else None


def sorted_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """The distinct labels in order: whole numbers by value, otherwise by code point."""
    distinct = sorted(set(labels))
    if all(_WHOLE_NUMBER.fullmatch(label) for label in distinct):
        distinct.sort(key=int)
    return tuple(distinct)
