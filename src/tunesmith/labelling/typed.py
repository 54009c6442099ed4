"""What is typed at a terminal -> labels, or what else is to be done."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

__all__ = ["Act", "Unclear", "understood"]


class Act(Enum):
    """What is no answer."""

    SKIP = "s"
    UNDO = "u"
    QUIT = "q"


class Unclear(Exception):  # noqa: N818 -- a person typed something else
    """What was typed names no label, or not one alone; says why."""


_NONE = ("0", "none")


def understood(typed: str, labels: Sequence[str], *, several: bool) -> tuple[str, ...] | Act:
    """The labels that `typed` names by number, name or the beginning of a name; or an act.

    Where there may be `several`, they are parted by commas, or numbers by spaces; 0 is none of them. A label
    of one letter that is an act as well is named by its number. Raises Unclear.
    """
    said = typed.strip()
    if said.lower() in {act.value for act in Act}:
        return Act(said.lower())
    if not several:
        return (_label(said, labels),)
    if said.lower() in _NONE and said not in labels:
        return ()
    parts = said.split() if said.replace(" ", "").isdecimal() else [part.strip() for part in said.split(",")]
    named = {_label(part, labels) for part in parts}
    return tuple(label for label in labels if label in named)


def _label(said: str, labels: Sequence[str]) -> str:
    if not said:
        raise Unclear("type a number, or the beginning of a label")
    if said in labels:
        return said
    if said.isdecimal() and 1 <= int(said) <= len(labels):
        return labels[int(said) - 1]
    meant = [label for label in labels if label.casefold().startswith(said.casefold())]
    exact = [label for label in meant if label.casefold() == said.casefold()]
    meant = exact if len(exact) == 1 else meant
    match meant:
        case [label]:
            return label
        case []:
            raise Unclear(f"{said!r} is no label")
        case _:
            raise Unclear(f"{said!r} may be {' or '.join(meant)}")
