"""Rows -> Arrow, in batches of bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from tunesmith.data.dataset import Target
from tunesmith.data.formats.rows import Row

__all__ = ["MOST_CHARS", "Record", "batches_of"]

MOST_CHARS = 1 << 24
"""Of a sample or a batch, whatever its rows."""
_BATCH_ROWS = 1 << 16

Record = tuple[str | None, Target, Row]
"""The text of a row, its target, and where it stands."""


def batches_of(records: Iterable[Record], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """All records, in batches of which each fits into memory."""
    batch = _Batch(schema)
    for text, target, row in records:
        batch.append(text, target, row)
        if batch.full:
            yield batch.arrow()
            batch = _Batch(schema)
    yield batch.arrow()


class _Batch:
    """Rows on their way into Arrow."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._texts: list[str | None] = []
        self._targets: list[Target] = []
        self._files: list[str] = []
        self._lines: list[int] = []
        self._chars = 0

    def append(self, text: str | None, target: Target, row: Row) -> None:
        self._texts.append(text)
        self._targets.append(target)
        self._files.append(row.file)
        self._lines.append(row.line)
        self._chars += len(text or "") + (len(target) if isinstance(target, str) else 0)

    @property
    def full(self) -> bool:
        return len(self._texts) >= _BATCH_ROWS or self._chars >= MOST_CHARS

    def arrow(self) -> pa.RecordBatch:
        columns = [
            self._texts,
            self._targets,
            pa.array(self._files, pa.string()).dictionary_encode(),
            self._lines,
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)
