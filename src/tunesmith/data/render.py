"""Messages -> the text that a model reads, in segments that are learned or not."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Segment"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered conversation, tokenised on its own.

    `seams` are places within `text`, in order, across which no token may reach: there a special token that
    somebody wrote into a message falls apart into ordinary text.
    """

    text: str
    learned: bool
    seams: tuple[int, ...] = ()
