"""What answers: a model that writes, or one that gives labels, behind one face."""

from __future__ import annotations

from typing import Protocol

from tunesmith.scribe.stream import Stream
from tunesmith.studio.answering.question import Question

__all__ = ["Answerer"]


class Answerer(Protocol):
    """A model in memory. All is called in the event loop, which goes on meanwhile."""

    fingerprint: str
    """What another model, or another version of the software, does not have"""

    async def start(self) -> None:
        """Begin to answer."""

    async def begin(self, question: Question) -> list[Stream]:
        """A stream for each prompt, whose choices count from 0; whoever has enough cancels them.

        Raises Refusal.
        """

    async def close(self) -> None:
        """End; what still waits is not answered."""
