"""Chunks of a body -> its lines, however long the body is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Line", "Lines"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank."""

    number: int
    """From 1; blank lines are counted, too."""
    body: bytes | None
    """None where it is longer than lines may be."""


class Lines:
    """Cuts chunks into lines and holds no more than a line of `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._begun = bytearray()
        self._too_long = False
        self._number = 0

    @property
    def next_number(self) -> int:
        """The number of the line that comes next."""
        return self._number + 1

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in this chunk."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._add(piece)
            yield from self._end()
        self._add(rest)

    def end(self) -> Iterator[Line]:
        """The last line, where nothing ended it."""
        if self._begun or self._too_long:
            yield from self._end()

    def _add(self, piece: bytes) -> None:
        self._too_long = self._too_long or len(self._begun) + len(piece) > self._max_bytes
        if self._too_long:
            self._begun.clear()
        else:
            self._begun += piece

    def _end(self) -> Iterator[Line]:
        self._number += 1
        body = None if self._too_long else bytes(self._begun)
        self._begun.clear()
        self._too_long = False
        if body is None or body.strip():
            yield Line(self._number, body)
