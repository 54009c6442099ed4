"""Texts and targets as the bytes whose SHA-256 a dataset has, the same whatever file they came from.

Each part of a row is its length in 8 bytes, big-endian, and its UTF-8: the text, then the target. Where there
is none, that is a NUL; of several labels it is how many there are, which keeps them apart from the next row's
text, and then each label.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["hashed_bytes"]

_NO_TARGET = "\0"
_BYTES = pa.large_binary()


def hashed_bytes(batch: pa.RecordBatch) -> bytes | memoryview:
    """The bytes of all rows of a batch that has the columns text and target."""
    texts, targets = batch.column("text").fill_null(""), batch.column("target")
    if pa.types.is_list(targets.type):
        rows = zip(texts.to_pylist(), targets.to_pylist(), strict=True)
        return b"".join(_part(part) for text, labels in rows for part in (text, *_several(labels)))
    columns = [column for part in (texts, targets.fill_null(_NO_TARGET)) for column in _with_length(part)]
    return _bytes_of(pc.binary_join_element_wise(*columns, pa.scalar(b"", _BYTES)))


def _part(part: str) -> bytes:
    encoded = part.encode()
    return len(encoded).to_bytes(8, "big") + encoded


def _several(labels: list[str] | None) -> tuple[str, ...]:
    return (_NO_TARGET,) if labels is None else (str(len(labels)), *labels)


def _with_length(parts: pa.Array) -> tuple[pa.Array, pa.Array]:
    lengths = pc.binary_length(parts).to_numpy().astype(">u8").tobytes()
    of_eight = pa.Array.from_buffers(pa.binary(8), len(parts), [None, pa.py_buffer(lengths)])
    return of_eight.cast(_BYTES), parts.cast(_BYTES)


def _bytes_of(joined: Any) -> memoryview:
    """The values of an array of bytes, one after the other."""
    if not len(joined):
        return memoryview(b"")
    return memoryview(joined.buffers()[2])
