"""Whether a text may have several labels, and what parts them where they stand in one cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunesmith.data.cells import CellError, labels_of, listed
from tunesmith.task import Kind

__all__ = ["infer_kind", "looks_joined", "sniff_separator"]

# no part of most names; a comma often is, and so it parts labels only where none of these does
_SURE_SEPARATORS = (";", "|", "\t", "\n")
_SEPARATORS = (_SURE_SEPARATORS, (",",))


def infer_kind(cells: Iterable[object]) -> Kind:
    """`multi_label` where every cell that says something is a list and not each holds exactly one label."""
    lists = [_as_list(cell) for cell in cells if cell is not None and cell != ""]
    every_one = all(each is not None for each in lists)
    several = any(len(each) != 1 for each in lists if each is not None)
    return "multi_label" if every_one and several else "single_label"


def _as_list(cell: object) -> list[object] | None:
    match cell:
        case list():
            return cell
        case str():
            return listed(cell)
        case _:
            return None


def sniff_separator(cells: Iterable[object]) -> str | None:
    """What parts the labels of the cells that are plain texts: the mark that most of them hold, or None."""
    texts = [cell for cell in cells if isinstance(cell, str) and listed(cell) is None]
    for marks in _SEPARATORS:
        held = {mark: sum(mark in text.strip() for text in texts) for mark in marks}
        if any(held.values()):
            return max(marks, key=held.__getitem__)
    return None


def looks_joined(cells: Sequence[object]) -> str | None:
    """The mark by which cells that are taken for one label each seem to hold several, or None.

    Parted by it they would hold fewer different labels, all of them seen more than once on average.
    """
    texts = [cell for cell in cells if isinstance(cell, str)]
    return next((mark for mark in _SURE_SEPARATORS if _parts_well(texts, mark)), None)


def _parts_well(texts: Sequence[str], separator: str) -> bool:
    if not any(separator in text for text in texts):
        return False
    try:
        parted = {label for text in texts for label in labels_of(text, separator) or ()}
    except CellError:
        return False
    return 0 < 2 * len(parted) <= len(set(texts)) + 1
