"""What a model writes, as it is given out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finish", "Likely", "Piece", "Token"]

Finish = Literal["stop", "length"]
"""`stop`: the answer came to its end, or to a stop text; `length`: it was as long as it may be"""


@dataclass(frozen=True, slots=True)
class Likely:
    """A token that might have stood at a place, and the logarithm of its probability, in nats."""

    id: int
    text: str
    data: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was written, or read where the prompt is echoed."""

    id: int
    text: str
    """U+FFFD for what is no whole character; the name of a special token"""
    data: bytes
    """Its exact bytes; a special token has none, for it is no text"""
    offset: int
    """The character at which it begins, counted from the beginning of the answer, its echo included"""
    logprob: float | None = None
    """The logarithm of its probability, in nats, where it was asked for; the first of a prompt has none"""
    likeliest: tuple[Likely, ...] = ()
    """The likeliest first"""


@dataclass(frozen=True, slots=True)
class Piece:
    """What came to one answer: whole characters, and the tokens that end in them."""

    index: int
    """Which of the request's choices"""
    text: str
    tokens: tuple[Token, ...] = ()
    """The end of turn is not among them, nor what belongs to a stop text"""
    finish_reason: Finish | None = None
    """In the last piece of each choice"""
