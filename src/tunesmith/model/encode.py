"""Text -> token ids -> padded batch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.data.mapped import Mapped

if TYPE_CHECKING:
    import torch

__all__ = [
    "Chunk",
    "Encoded",
    "Ids",
    "count_tokens",
    "encode",
    "encode_chunks",
    "in_memory",
    "micro_batches",
    "pad",
    "picked",
    "starts_of",
]

Ids = npt.NDArray[np.int32]
# texts given to the Rust tokenizer at once: enough to keep its threads busy, little to hold
_CHUNK_TEXTS = 1024
_PIECE_TOKENS = 1 << 20


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts, in one flat array, and how much of them was cut off."""

    flat: npt.NDArray[np.uint16 | np.int32]
    """(tokens,) all texts one after the other; in a file where there are many, see `mapped`"""
    starts: npt.NDArray[np.int64]
    """(texts + 1,) where each text begins in `flat`"""
    cut: npt.NDArray[np.int32 | np.bool_]
    """(texts,) how many tokens of each were cut off"""
    mapped: Mapped | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Ids:
        ids = self.flat[self.starts[index] : self.starts[index + 1]]
        if self.mapped is None:
            return ids.astype(np.int32, copy=False)
        kept: Ids = ids.astype(np.int32)
        self.mapped.touched()
        return kept

    @property
    def truncated(self) -> npt.NDArray[np.bool_]:
        """(texts,) which of them were cut."""
        return self.cut > 0

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(texts,) tokens of each text, as far as they were kept."""
        return np.diff(self.starts)

    def pieces(self) -> Iterator[npt.NDArray[np.uint16 | np.int32]]:
        """`flat` from beginning to end, in memory that does not grow with it."""
        for start in range(0, len(self.flat), _PIECE_TOKENS):
            yield self.flat[start : start + _PIECE_TOKENS]
            if self.mapped is not None:
                self.mapped.release()


@dataclass(frozen=True, slots=True)
class Chunk:
    """The token ids of some texts."""

    flat: Ids
    lengths: npt.NDArray[np.int32]
    cut: npt.NDArray[np.int32]


def encode(tokenizer: Any, texts: Iterable[str], max_tokens: int) -> Encoded:
    """Tokenise `texts`, cut at `max_tokens`; a text without any token becomes one pad token."""
    return in_memory(encode_chunks(tokenizer, texts, max_tokens))


def encode_chunks(tokenizer: Any, texts: Iterable[str], max_tokens: int) -> Iterator[Chunk]:
    """As `encode`, some texts at a time."""
    added = tokenizer.num_special_tokens_to_add()
    remaining = iter(texts)
    while some := list(islice(remaining, _CHUNK_TEXTS)):
        batch = tokenizer(_readable(some), truncation=True, max_length=max_tokens, verbose=False)
        rows = [ids or [tokenizer.pad_token_id] for ids in batch["input_ids"]]
        cut = [sum(len(rest.ids) - added for rest in encoding.overflowing) for encoding in batch.encodings]
        lengths = np.fromiter(map(len, rows), np.int32, len(rows))
        flat = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
        yield Chunk(flat, lengths, np.asarray(cut, np.int32))


def in_memory(chunks: Iterable[Chunk]) -> Encoded:
    """All chunks one after the other."""
    held = list(chunks)
    return Encoded(
        np.concatenate([np.zeros(0, np.int32), *(chunk.flat for chunk in held)]),
        starts_of(chunk.lengths for chunk in held),
        np.concatenate([np.zeros(0, np.int32), *(chunk.cut for chunk in held)]),
    )


def picked(texts: Sequence[tuple[Encoded, int]]) -> Encoded:
    """Texts of several sets, one at least, each named by its set and its number there."""
    rows = [encoded[at] for encoded, at in texts]
    lengths = np.array([len(row) for row in rows], np.int32)
    cut = np.array([encoded.cut[at] for encoded, at in texts], np.int32)
    return in_memory([Chunk(np.concatenate(rows), lengths, cut)])


def starts_of(lengths: Iterable[npt.NDArray[np.int32]]) -> npt.NDArray[np.int64]:
    """(texts + 1,) where each text begins when they lie one after the other."""
    return np.cumsum(np.concatenate([np.zeros(1, np.int32), *lengths]), dtype=np.int64)


def _readable(texts: Sequence[str]) -> list[str]:
    """The texts with U+FFFD for what is no character, as in data that was read from a file."""
    return [without_bad_chars(text)[0] for text in texts]


def count_tokens(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Tokens of each text, uncut."""
    counts: list[int] = []
    for start in range(0, len(texts), _CHUNK_TEXTS):
        batch = tokenizer(_readable(texts[start : start + _CHUNK_TEXTS]), truncation=False, verbose=False)
        counts += [len(ids) for ids in batch["input_ids"]]
    return counts


def micro_batches(
    lengths: npt.ArrayLike, micro_batch_tokens: int, *, packed: bool = False
) -> list[list[int]]:
    """Indices in groups of similar length, each within the budget: count × longest of a group,
    or, where texts are `packed` without padding, the sum of its tokens.

    A text longer than the budget stands alone.
    """
    given = np.asarray(lengths, np.int64)
    order = np.argsort(given, kind="stable")
    ascending = given[order]
    before = np.concatenate([[0], np.cumsum(ascending)])

    def tokens(start: int, end: int) -> int:
        return int(before[end] - before[start] if packed else (end - start) * ascending[end - 1])

    groups, start = [], 0
    while start < len(order):
        more = range(start + 2, len(order) + 1)  # one more text at least, where there is one
        end = start + 1 + bisect_right(more, micro_batch_tokens, key=partial(tokens, start))
        groups.append(order[start:end].tolist())
        start = end
    return groups


def pad(rows: Sequence[Ids], pad_token_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and attention mask, both (rows, longest)."""
    import torch

    longest = max(len(ids) for ids in rows)
    padded = np.full((len(rows), longest), pad_token_id, np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for index, ids in enumerate(rows):
        padded[index, : len(ids)] = ids
        mask[index, : len(ids)] = 1
    return torch.from_numpy(padded), torch.from_numpy(mask)
