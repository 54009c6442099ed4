"""Pieces -> answers in this process: a piece is read and tokenised while the model is at the one before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from tunesmith.score.answers import Answers, answered, asked_of
from tunesmith.score.source import Piece, Span

__all__ = ["Done", "ahead", "answered_here"]

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Done:
    """The answers of a piece."""

    span: Span
    share: float | None
    """How much of the file was read by its end, where that is known"""
    answers: pa.Table

    @property
    def rows(self) -> int:
        """How many are answered."""
        return self.span[1] - self.span[0]


def answered_here(answers: Answers, pieces: Iterator[Piece]) -> Iterator[Done]:
    """Each piece with its answers, in order; one piece beside the present one is held."""
    for piece, asked in ahead((piece, asked_of(answers, piece.texts)) for piece in pieces):
        yield Done(piece.span, piece.share, answered(answers, asked))


def ahead(items: Iterator[ItemT]) -> Iterator[ItemT]:
    """The same items, of which a thread makes the next one while the last one is used."""
    with ThreadPoolExecutor(1, "reading-ahead") as thread:
        # a list, as an iterator that ends inside of a future would be a bug to Python
        coming = thread.submit(_next, items)
        while item := coming.result():
            coming = thread.submit(_next, items)
            yield item[0]


def _next(items: Iterator[ItemT]) -> list[ItemT]:
    for item in items:
        return [item]
    return []
