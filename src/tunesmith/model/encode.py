"""Text -> token ids -> padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.formats.encoding import without_bad_chars

if TYPE_CHECKING:
    import torch

__all__ = ["Encoded", "Ids", "count_tokens", "encode", "micro_batches", "pad"]

Ids = npt.NDArray[np.int32]
# texts given to the Rust tokenizer at once: enough to keep its threads busy, little to hold
_CHUNK_TEXTS = 1024


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of many texts, in one flat array, and which of them were cut."""

    flat: Ids
    """(tokens,) all texts one after the other"""
    starts: npt.NDArray[np.int64]
    """(texts + 1,) where each text begins in `flat`"""
    truncated: npt.NDArray[np.bool_]
    """(texts,)"""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Ids:
        return self.flat[self.starts[index] : self.starts[index + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(texts,) tokens of each text."""
        return np.diff(self.starts)


def encode(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> Encoded:
    """Tokenise `texts`, cut at `max_tokens`; a text without any token becomes one pad token."""
    rows: list[Ids] = []
    cut: list[bool] = []
    for start in range(0, len(texts), _CHUNK_TEXTS):
        chunk = _readable(texts[start : start + _CHUNK_TEXTS])
        batch = tokenizer(chunk, truncation=True, max_length=max_tokens, verbose=False)
        cut += [bool(encoding.overflowing) for encoding in batch.encodings]
        rows += [np.asarray(ids or [tokenizer.pad_token_id], np.int32) for ids in batch["input_ids"]]
    lengths = [len(ids) for ids in rows]
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    flat = np.concatenate(rows) if rows else np.zeros(0, np.int32)
    return Encoded(flat, starts, np.asarray(cut, np.bool_))


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
    lengths: Sequence[int], micro_batch_tokens: int, *, packed: bool = False
) -> list[list[int]]:
    """Indices in groups of similar length, each within the budget: count × longest of a group,
    or, where texts are `packed` without padding, the sum of its tokens.

    A text longer than the budget stands alone.
    """
    groups: list[list[int]] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        longest = lengths[index]
        cost = tokens + longest if packed or not groups else (len(groups[-1]) + 1) * longest
        if not groups or cost > micro_batch_tokens:
            groups.append([])
            tokens = 0
        groups[-1].append(index)
        tokens += longest
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
