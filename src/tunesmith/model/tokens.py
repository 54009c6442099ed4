"""A dataset -> token ids: tokenised once, and where it is large, kept in files that are mapped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from tunesmith.data.cache import cached
from tunesmith.data.dataset import Dataset, Example
from tunesmith.data.mapped import Mapped
from tunesmith.data.render import conversations_of, render
from tunesmith.data.template import Template
from tunesmith.model.encode import Chunk, Encoded, encode, encode_chunks, starts_of
from tunesmith.model.fingerprint import tokenizer_fingerprint
from tunesmith.model.targets import EncodedTargets, TargetChunk, segment_chunks, targets_in_memory

__all__ = ["encode_dataset", "encode_targets"]

_FORMAT = 1
_FLAT, _LENGTHS, _CUT, _LEARNED = "flat.bin", "lengths.npy", "cut.npy", "learned.bin"


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
    dtype = _dtype_for(tokenizer)
    entry = cached(
        about, lambda directory: _write(directory, encode_chunks(tokenizer, texts, max_tokens), dtype)
    )
    return _read(entry, dtype)


def encode_targets(tokenizer: Any, dataset: Dataset, template: Template, max_tokens: int) -> EncodedTargets:
    """The token ids of prompts with their completions, or of chats, and which are learned.

    A preference has two rows, one after the other: its prompt with the preferred answer, and with the other.

    See `encode_segments`; made once for the same dataset, and kept as `encode_dataset` says. Raises BaseError
    where the template fails, StorageError where the disk is full.
    """
    about = {
        "targets": _FORMAT,
        "kind": dataset.task.kind,
        "instruction": dataset.task.instruction,
        "template": template.described(),
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "max_tokens": max_tokens,
    }
    found = (conversations_of(dataset.task, row.text, _answer_of(row)) for row in dataset)
    rows = (render(messages, template) for each in found for messages in each)
    together = 2 if dataset.task.kind == "preference" else 1
    chunks = segment_chunks(tokenizer, rows, max_tokens, together=together)
    name = json.dumps(about, sort_keys=True)
    return dataset.once(name, lambda: _targets(dataset, chunks, about, _dtype_for(tokenizer)))


def _answer_of(row: Example) -> str | None:
    assert row.target is None or isinstance(row.target, str), "labels are not written"
    return row.target


def _targets(
    dataset: Dataset, chunks: Iterable[TargetChunk], about: Mapping[str, object], dtype: np.dtype[Any]
) -> EncodedTargets:
    if dataset.mapped is None:
        return targets_in_memory(chunks)

    def write(directory: Path) -> None:
        with (directory / _LEARNED).open("wb") as stream:
            _write(directory, _learned_written(stream, chunks), dtype)

    entry = cached({**about, "data": dataset.sha256}, write)
    with (entry / _LEARNED).open("rb") as stream:
        mapped = Mapped(stream)
    return EncodedTargets(_read(entry, dtype), np.frombuffer(mapped.view, np.bool_), mapped)


def _learned_written(stream: IO[bytes], chunks: Iterable[TargetChunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        stream.write(chunk.learned.tobytes())
        yield chunk.rows


def _dtype_for(tokenizer: Any) -> np.dtype[Any]:
    """The smallest that holds every token id."""
    return np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)


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
