"""When two texts are the same text, and walking over a column of texts in little memory."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "EMPTY_KEY",
    "KEY_BYTES",
    "Codes",
    "Keys",
    "among",
    "same_text_key",
    "same_text_keys",
    "text_batches",
]

KEY_BYTES = 8
Keys = npt.NDArray[np.uint64]  # (rows,)
Codes = npt.NDArray[np.int32]  # (rows,)


def same_text_key(text: str) -> int:
    """A 64-bit hash that texts share when they differ only in case, white space or Unicode form."""
    return int.from_bytes(_digest(text), "little")


def _digest(text: str) -> bytes:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    folded = " ".join(text.casefold().split())
    return hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


EMPTY_KEY = same_text_key("")


def same_text_keys(texts: pa.ChunkedArray) -> Keys:
    """The `same_text_key` of every text of a column; null counts as empty."""
    digests = bytearray()
    for batch in text_batches(texts):
        digests += b"".join(map(_digest, batch))
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def among(keys: Keys, others: Keys) -> npt.NDArray[np.bool_]:
    """(rows,) which keys stand among the others, in less memory than `np.isin`."""
    if not others.size:
        return np.zeros(keys.size, np.bool_)
    ascending = np.sort(others)
    found: npt.NDArray[np.bool_] = ascending.take(np.searchsorted(ascending, keys), mode="clip") == keys
    return found


def text_batches(texts: pa.ChunkedArray, rows: int = 4096) -> Iterator[list[str]]:
    """The texts of a column, some rows at a time; null becomes an empty text."""
    for chunk in texts.chunks:
        for start in range(0, len(chunk), rows):
            yield [text or "" for text in chunk.slice(start, rows).to_pylist()]
