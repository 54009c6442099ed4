"""A session at a terminal: a text, what may be typed, and what was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TextIO

from tunesmith.labelling.session import Asked, Session
from tunesmith.labelling.typed import Act, Unclear, understood

__all__ = ["Shows", "ask_all"]


class Shows(Protocol):
    """What a person is shown."""

    def text(self, asked: Asked) -> None:
        """The text that is asked about, and what may be typed."""

    def end(self, asked: Asked) -> None:
        """That no text is left, and how to take back the last answer."""

    def unclear(self, what: str) -> None:
        """Why what was typed was not understood."""


def ask_all(session: Session, labels: Sequence[str], lines: TextIO, shows: Shows, *, several: bool) -> None:
    """Ask about each text until none is left, `q` is typed or the lines end. Raises StorageError."""
    while (asked := session.asked).row is not None or asked.can_undo:
        said = _heard(asked, labels, lines, shows, several)
        match said:
            case None | Act.QUIT:
                return
            case Act.UNDO if not session.undo():
                shows.unclear("there is nothing to take back")
            case Act.SKIP if asked.row is not None:
                session.skip(asked.row)
            case tuple() if asked.row is not None:
                session.answer(asked.row, said)
            case _:
                pass


def _heard(
    asked: Asked, labels: Sequence[str], lines: TextIO, shows: Shows, several: bool
) -> tuple[str, ...] | Act | None:
    """What is typed about a text, once it is understood; None where there is no more to hear."""
    while True:
        if asked.row is None:
            shows.end(asked)
        else:
            shows.text(asked)
        line = lines.readline()
        if not line or (asked.row is None and line.strip().lower() != Act.UNDO.value):
            return None
        try:
            return understood(line, labels, several=several)
        except Unclear as unclear:
            shows.unclear(str(unclear))
