"""Tokens of one answer -> text that may be given out: whole characters, and nothing of a stop text."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from tunesmith.scribe.piece import Token

__all__ = ["Spelling", "StopTexts"]

_Spelled = tuple[str, tuple[Token, ...]]


class StopTexts:
    """Text that comes bit by bit, as far as no stop text is in it and none may begin there."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._held = ""
        self.reached = False
        """Whether a stop text was found; nothing is given out any more"""

    def add(self, text: str) -> str:
        """What may be given out now that `text` came."""
        self._held += text
        found = [at for at in map(self._held.find, self._stop) if at >= 0]
        self.reached = self.reached or bool(found)
        end = min(found) if found else len(self._held) - self._doubtful()
        given, self._held = self._held[:end], "" if self.reached else self._held[end:]
        return given

    def rest(self) -> str:
        """What was held back, now that nothing follows."""
        held, self._held = self._held, ""
        return held

    def _doubtful(self) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        lengths = (
            length
            for text in self._stop
            for length in range(1, min(len(text), len(self._held) + 1))
            if self._held.endswith(text[:length])
        )
        return max(lengths, default=0)


class Spelling:
    """Text and tokens of one answer on their way out, none lost; a token leaves with its last character."""

    def __init__(self, stop: Sequence[str] = (), offset: int = 0) -> None:
        self._stops = StopTexts(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoded = self._given = offset
        """How many characters are known, and how many were given out"""
        self._waiting: deque[tuple[Token, int]] = deque()
        """Each with the number of characters that must be given out before"""

    @property
    def stopped(self) -> bool:
        """Whether a stop text was found."""
        return self._stops.reached

    def add(self, token: Token) -> _Spelled:
        """What may be given out now that this token came; its `offset` is set here."""
        start = self._decoded
        text = self._decoder.decode(token.data)
        self._decoded += len(text)
        is_cut = bool(self._decoder.getstate()[0])
        self._waiting.append((replace(token, offset=start), self._decoded + is_cut))
        return self._out(self._stops.add(text))

    def end(self) -> _Spelled:
        """What is left, now that no token follows."""
        text = self._stops.add(self._decoder.decode(b"", final=True)) + self._stops.rest()
        given, tokens = self._out(text)
        left = () if self.stopped else tuple(token for token, _ in self._waiting)
        self._waiting.clear()
        return given, tokens + left

    def _out(self, text: str) -> _Spelled:
        self._given += len(text)
        leaving = []
        while self._waiting and self._leaves(*self._waiting[0]):
            leaving.append(self._waiting.popleft()[0])
        return text, tuple(leaving)

    def _leaves(self, token: Token, end: int) -> bool:
        # the stop text may begin within a token, half of which was then written
        return token.offset < self._given if self.stopped else end <= self._given
