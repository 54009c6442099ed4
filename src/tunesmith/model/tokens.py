"""A dataset -> token ids: tokenised once, and where it is large, kept in a file that is mapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from tunesmith.data.cache import cached
from tunesmith.data.dataset import Dataset
from tunesmith.data.mapped import Mapped
from tunesmith.model.encode import Chunk, Encoded, encode, encode_chunks, starts_of
from tunesmith.model.fingerprint import tokenizer_fingerprint

__all__ = ["encode_dataset"]

_FORMAT = 1
_FLAT, _LENGTHS, _CUT = "flat.bin", "lengths.npy", "cut.npy"


def encode_dataset(tokenizer: Any, dataset: Dataset, max_tokens: int) -> Encoded:
    """The token ids of every text of `dataset`, see `encode`; made once for the same dataset.

    Those of a large one are written to the cache, in memory that grows by some bytes a text and no more, and
    found there by every later call for the same texts and tokenizer. Raises StorageError where the disk is
    full.
    """
    cut = tokenizer_fingerprint(tokenizer), max_tokens
    return dataset.once(cut, lambda: _encoded(tokenizer, dataset, *cut))


def _encoded(tokenizer: Any, dataset: Dataset, fingerprint: str, max_tokens: int) -> Encoded:
    texts = chain.from_iterable(dataset.text_batches())
    if dataset.mapped is None:
        return encode(tokenizer, texts, max_tokens)
    about = {
        "tokens": _FORMAT,
        "data": dataset.sha256,
        "tokenizer": fingerprint,
        "max_tokens": max_tokens,
    }
    dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)
    entry = cached(
        about, lambda directory: _write(directory, encode_chunks(tokenizer, texts, max_tokens), dtype)
    )
    return _read(entry, dtype)


def _write(directory: Path, chunks: Iterable[Chunk], dtype: np.dtype[Any]) -> None:
    with (directory / _FLAT).open("wb") as stream:
        kept = [(chunk.lengths, chunk.cut) for chunk in _written(stream, chunks, dtype)]
    for name, parts in zip((_LENGTHS, _CUT), zip(*kept, strict=True), strict=True):
        with (directory / name).open("wb") as stream:
            np.save(stream, np.concatenate(parts), allow_pickle=False)


def _written(stream: IO[bytes], chunks: Iterable[Chunk], dtype: np.dtype[Any]) -> Iterator[Chunk]:
    for chunk in chunks:
        stream.write(chunk.flat.astype(dtype).tobytes())
        yield chunk


def _read(entry: Path, dtype: np.dtype[Any]) -> Encoded:
    lengths, cut = (np.load(entry / name, allow_pickle=False) for name in (_LENGTHS, _CUT))
    with (entry / _FLAT).open("rb") as stream:
        mapped = Mapped(stream)
    return Encoded(np.frombuffer(mapped.view, dtype), starts_of([lengths]), cut, mapped)
