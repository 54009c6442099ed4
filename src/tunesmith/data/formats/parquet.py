"""Parquet -> rows, a record batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.data.formats.lines import BAD_ENCODING_FIX
from tunesmith.data.formats.rows import MAX_RECORD_CHARS, Row, refuse_bad_columns, too_long
from tunesmith.data.problems import ReadLog, refuse

__all__ = ["opened", "rows"]

_BATCH_ROWS = 1024


def rows(path: Path, log: ReadLog, *, columns: Sequence[str] | None = None, start: int = 0) -> Iterator[Row]:
    """The rows of a Parquet file, numbered from 1; list cells come as lists.

    Of `columns` alone where they are named, and without the first `start` rows, whose groups are not read.
    """
    with opened(path) as table:
        yield from _rows(path, table, log, columns, start)


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; raise DataError where it is not a whole one, also while it is read."""
    with path.open("rb") as stream:
        if not stream.read(1):
            raise refuse(
                "empty-file", "the file is empty", path, "check that it was written and copied whole"
            )
        try:
            yield pq.ParquetFile(stream)
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None):
                raise
            what = f"this is not a whole Parquet file: {str(error).splitlines()[0]}"
            raise refuse("bad-parquet", what, path, "write or copy the file again") from error


def _rows(
    path: Path, table: pq.ParquetFile, log: ReadLog, columns: Sequence[str] | None, start: int
) -> Iterator[Row]:
    file = str(path)
    refuse_bad_columns(table.schema_arrow.names, file)
    first, number = _group_of(table.metadata, start)
    groups = range(first, table.num_row_groups)
    for batch in table.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups, columns=columns):
        skipped = min(max(0, start - number), batch.num_rows)
        number += skipped
        held = [_cells(column) for column in batch.slice(skipped).columns]
        for cells in zip(*held, strict=True):
            number += 1
            values = dict(zip(batch.schema.names, cells, strict=True))
            yield Row(_checked(values, file, number, log), number, file)


def _group_of(about: pq.FileMetaData, row: int) -> tuple[int, int]:
    """The row group that holds `row`, and how many rows stand before it."""
    before = 0
    for group in range(about.num_row_groups):
        rows = about.row_group(group).num_rows
        if before + rows > row:
            return group, before
        before += rows
    return about.num_row_groups, before


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
