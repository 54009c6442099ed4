"""Reference and answer -> the same texts, with what the other lacks marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from tunesmith.evaluation.generation.words import tokens

__all__ = ["Piece", "differences"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that the other text has at this place, or `differs`."""

    text: str
    differs: bool


def differences(reference: str, answer: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The pieces of both; white space that differs is not marked. Quadratic: for texts as they are shown."""
    one, other = tokens(reference), tokens(answer)
    matcher = SequenceMatcher(_is_space, one, other, autojunk=False)
    same = [block for block in matcher.get_matching_blocks() if block.size]
    in_one = {index for block in same for index in range(block.a, block.a + block.size)}
    in_other = {index for block in same for index in range(block.b, block.b + block.size)}
    return tuple(_joined(one, in_one)), tuple(_joined(other, in_other))


def _is_space(token: str) -> bool:
    return token.isspace()


def _joined(parts: Sequence[str], same: set[int]) -> Iterator[Piece]:
    differs = [index not in same for index in range(len(parts))]
    for index, part in enumerate(parts):
        if part.isspace():
            # a gap is marked only inside of what is marked
            around = [differs[place] for place in (index - 1, index + 1) if 0 <= place < len(parts)]
            differs[index] = bool(around) and all(around)
    for marked, run in groupby(zip(parts, differs, strict=True), lambda pair: pair[1]):
        yield Piece("".join(text for text, _ in run), marked)
