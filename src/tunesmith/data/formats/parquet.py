"""Parquet -> rows, a record batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.data.formats.lines import BAD_ENCODING_FIX
from tunesmith.data.formats.rows import MAX_RECORD_CHARS, Row, refuse_bad_columns, too_long
from tunesmith.data.problems import ReadLog, refuse

__all__ = ["rows"]

_BATCH_ROWS = 1024


def rows(path: Path, log: ReadLog) -> Iterator[Row]:
    """The rows of a Parquet file, numbered from 1; list cells come as lists."""
    with path.open("rb") as stream:
        if not stream.read(1):
            raise refuse(
                "empty-file", "the file is empty", path, "check that it was written and copied whole"
            )
        try:
            yield from _rows(path, pq.ParquetFile(stream), log)
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None):
                raise
            what = f"this is not a whole Parquet file: {str(error).splitlines()[0]}"
            raise refuse("bad-parquet", what, path, "write or copy the file again") from error


def _rows(path: Path, table: pq.ParquetFile, log: ReadLog) -> Iterator[Row]:
    number, file = 0, str(path)
    names = table.schema_arrow.names
    refuse_bad_columns(names, file)
    for batch in table.iter_batches(batch_size=_BATCH_ROWS):
        columns = [_cells(column) for column in batch.columns]
        for cells in zip(*columns, strict=True):
            number += 1
            yield Row(_checked(dict(zip(names, cells, strict=True)), file, number, log), number, file)


def _cells(column: pa.Array) -> list[object]:
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        raw = column.cast(pa.large_string()).view(pa.large_binary()).to_pylist()
        return [cell if cell is None else cell.decode("utf-8", "surrogateescape") for cell in raw]


def _checked(values: dict[str, object], file: str, number: int, log: ReadLog) -> dict[str, object]:
    for name, cell in values.items():
        if not isinstance(cell, str):
            continue
        if len(cell) > MAX_RECORD_CHARS:
            raise too_long(file, number)
        values[name], bad = without_bad_chars(cell)
        if bad:
            what = f'column "{name}" of this row holds bytes that are not utf-8'
            log.fault("bad-encoding", what, f"{file}:{number}", BAD_ENCODING_FIX)
    return values
