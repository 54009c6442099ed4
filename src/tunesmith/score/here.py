"""Pieces -> answers in this process: a piece is read and tokenised while the model is at the one before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

from tunesmith.score.answers import Answers, answered, asked_of
from tunesmith.score.source import Piece

__all__ = ["ahead", "answered_here"]

ItemT = TypeVar("ItemT")


def answered_here(answers: Answers, pieces: Iterator[Piece]) -> Iterator[tuple[Piece, pa.Table]]:
    """Each piece with its answers, in order; one piece beside the present one is held."""
    for piece, asked in ahead((piece, asked_of(answers, piece.texts)) for piece in pieces):
        yield piece, answered(answers, asked)


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
