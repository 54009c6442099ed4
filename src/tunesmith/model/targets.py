"""Segments of text -> token ids, and which of them are to be predicted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.data.mapped import Mapped
from tunesmith.data.render import Segment
from tunesmith.data.template import DEFAULT_TEMPLATE, Template
from tunesmith.model.encode import Chunk, Encoded, Ids, in_memory

__all__ = [
    "EncodedTargets",
    "Flags",
    "TargetChunk",
    "encode_segments",
    "segment_chunks",
    "targets_in_memory",
    "template_of",
]

_CHUNK_ROWS = 1024

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EncodedTargets:
    """The token ids of many rows and which of them are learned."""

    encoded: Encoded
    learned: Flags
    """(tokens,) beside `encoded.flat`: whether this token is to be predicted; never the first of a row"""
    mapped: Mapped | None = field(default=None, repr=False)
    """The file that holds `learned`, where there are many rows"""

    def __len__(self) -> int:
        return len(self.encoded)

    def learned_of(self, row: int) -> Flags:
        """(tokens of the row,) which of them are learned."""
        starts = self.encoded.starts
        flags = self.learned[starts[row] : starts[row + 1]]
        if self.mapped is not None:
            flags = flags.copy()
            self.mapped.touched()
        return flags

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """(rows,) learned tokens; a row that has none left teaches nothing and is not trained on."""
        if not len(self):
            return np.zeros(0, np.int64)
        counts: npt.NDArray[np.int64] = np.add.reduceat(
            self.learned, self.encoded.starts[:-1], dtype=np.int64
        )
        if self.mapped is not None:
            self.mapped.release()
        return counts


@dataclass(frozen=True, slots=True)
class TargetChunk:
    """The token ids of some rows and which of them are learned, (tokens,)."""

    rows: Chunk
    learned: Flags


def template_of(tokenizer: Any) -> Template:
    """The chat template of a tokenizer, or ours where it has none, with the tokenizer's special tokens."""
    source = tokenizer.chat_template
    if isinstance(source, dict):
        source = source.get("default")
    named = {
        name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
    }
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return Template(source or DEFAULT_TEMPLATE, named, tuple(dict.fromkeys([*named.values(), *added])))


def encode_segments(tokenizer: Any, rows: Iterable[Sequence[Segment]], max_tokens: int) -> EncodedTargets:
    """Tokenise each segment on its own and lay the ids of a row end to end.

    A row of more than `max_tokens` loses the beginning of its first segment, if that is not learned, but for
    one token, so that the answer stays; what is then still too much it loses at its end. A row that waits for
    its answer loses only its beginning. A row without any token becomes one pad token. Special tokens that a
    template writes are tokens; where a message imitates one, it has a seam.
    """
    return targets_in_memory(segment_chunks(tokenizer, rows, max_tokens))


def targets_in_memory(chunks: Iterable[TargetChunk]) -> EncodedTargets:
    """All chunks one after the other."""
    held = list(chunks)
    learned = np.concatenate([np.zeros(0, np.bool_), *(chunk.learned for chunk in held)])
    return EncodedTargets(in_memory(chunk.rows for chunk in held), learned)


def segment_chunks(
    tokenizer: Any, rows: Iterable[Sequence[Segment]], max_tokens: int, *, together: int = 1
) -> Iterator[TargetChunk]:
    """As `encode_segments`, some rows at a time.

    Rows that stand `together`, so many each time, begin alike: they lose as much of their beginnings as the
    longest of them has to.
    """
    remaining = iter(rows)
    while some := list(islice(remaining, _CHUNK_ROWS // together * together)):
        groups = zip(*[_tokenised(tokenizer, some)] * together, strict=True)
        fitted = [row for group in groups for row in _fitted(group, max_tokens, tokenizer.pad_token_id)]
        ids, learned, cut = zip(*fitted, strict=True)
        lengths = np.fromiter(map(len, ids), np.int32, len(ids))
        yield TargetChunk(
            Chunk(np.concatenate(ids), lengths, np.asarray(cut, np.int32)), np.concatenate(learned)
        )


_Row = list[tuple[Ids, bool]]
"""The ids of each segment, and whether they are learned."""


def _tokenised(tokenizer: Any, rows: Sequence[Sequence[Segment]]) -> Iterator[_Row]:
    pieces = [without_bad_chars(piece)[0] for row in rows for segment in row for piece in segment.pieces]
    found = tokenizer(pieces, add_special_tokens=False, truncation=False, verbose=False) if pieces else {}
    ids = iter(found.get("input_ids", ()))
    for row in rows:
        yield [(_joined(islice(ids, len(segment.pieces))), segment.learned) for segment in row]


def _joined(pieces: Iterator[list[int]]) -> Ids:
    return np.asarray([token for piece in pieces for token in piece], np.int32)


def _fitted(group: Sequence[_Row], max_tokens: int, pad_token_id: int) -> Iterator[tuple[Ids, Flags, int]]:
    """Of each row the ids that are kept, which of them are learned, and how many were cut off."""
    excess = max(0, *(sum(len(ids) for ids, _ in row) - max_tokens for row in group))
    for row in group:
        yield _cut(row, excess, max_tokens, pad_token_id)


def _cut(row: _Row, excess: int, max_tokens: int, pad_token_id: int) -> tuple[Ids, Flags, int]:
    ids = np.concatenate([np.zeros(0, np.int32), *(each for each, _ in row)])
    learned = np.concatenate([np.zeros(0, np.bool_), *(np.full(len(each), flag) for each, flag in row)])
    whole = len(ids)
    if excess:
        start = min(excess, _spare(row))
        ids, learned = ids[start : start + max_tokens], learned[start : start + max_tokens]
    lost = whole - len(ids)
    if not len(ids):
        ids, learned = np.asarray([pad_token_id], np.int32), np.zeros(1, np.bool_)
    # nothing stands before it from which it could be predicted
    learned[0] = False
    return ids, learned, lost


def _spare(row: _Row) -> int:
    """How many tokens a row may lose at its beginning."""
    (first, first_learned), (_, last_learned) = row[0], row[-1]
    if not last_learned:
        return sum(len(ids) for ids, _ in row)
    return 0 if first_learned else max(0, len(first) - 1)
