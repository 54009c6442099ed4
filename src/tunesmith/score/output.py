"""A table and the answers of its rows -> the table with the answers beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith.data.formats import parquet
from tunesmith.data.formats.rows import Row
from tunesmith.data.problems import ReadLog
from tunesmith.data.write import joined, open_table, separator_for
from tunesmith.errors import DataError, Problem
from tunesmith.files import atomic_file
from tunesmith.predict import in_chunks
from tunesmith.score.answers import TRUNCATED, added_columns
from tunesmith.score.source import Source
from tunesmith.task import Task

__all__ = ["Answered", "row_groups", "separator_in", "source_changed", "with_cells", "write_answered"]

_SEPARATOR = ";"
_CHUNK_ROWS = 4096
_MOST_LATE_COLUMNS = 20
# a row group is held whole to be written, but not one that would take more than this
_GROUP_BYTES = 1 << 28
_CUT_ROWS = 1 << 16


def source_changed(path: Path) -> DataError:
    """The error that a table is not what it was when its scoring began."""
    what = "the table changed while it was scored, so that answers and rows do not belong together"
    return DataError(
        Problem("source-changed", what, str(path), "once nobody writes to it, begin anew with --overwrite")
    )


class Answered:
    """Takes the answers of rows in order, however they were cut into pieces."""

    def __init__(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        self.rows = 0
        self.empty = 0
        """How many of the rows have no text, and so no answer"""
        self._tables = iter(tables)
        self._held = schema.empty_table()
        self._path = path

    def take(self, rows: int) -> pa.Table:
        """The answers of the next rows; raise DataError where there are fewer."""
        while self._held.num_rows < rows:
            more = next(self._tables, None)
            if more is None:
                raise source_changed(self._path)
            self._held = pa.concat_tables([self._held, more])
        taken, self._held = self._held.slice(0, rows), self._held.slice(rows)
        self.rows += rows
        self.empty += taken.column(TRUNCATED).null_count
        return taken

    def end(self) -> None:
        """Raise DataError where there are answers of more rows."""
        if self._held.num_rows or next(self._tables, None) is not None:
            raise source_changed(self._path)


def write_answered(source: Source, answers: Answered, out: Path) -> list[str]:
    """Write the table with its answers to `out`, in constant memory; what is worth a note.

    From Parquet to Parquet the columns keep their types, and rows their groups.
    """
    if source.copied:
        _copy_groups(source, answers, out)
        return []
    late: dict[str, str] = {}
    separator = separator_in(out, source.task)
    with open_table(out, [*source.columns, *added_columns(source.task).names]) as table:
        for chunk in in_chunks(source.rows(ReadLog(strict=True)), _CHUNK_ROWS):
            table.write(with_cells(chunk, answers.take(len(chunk)).to_pylist(), separator))
            _note_late(chunk, source.columns, late)
        answers.end()
    return [
        f'column "{name}" is left out: it first appears at {where}, after the header was written'
        for name, where in late.items()
    ]


def separator_in(out: str | Path, task: Task) -> str | None:
    """What joins several labels of one cell in `out`; None where it has lists."""
    return separator_for(out, task, _SEPARATOR)


def with_cells(
    rows: Iterable[Row], cells: Iterable[Mapping[str, object]], separator: str | None
) -> list[dict[str, object]]:
    """The rows with the cells that are added to each."""
    return [
        {**row.values, **{name: joined(cell, separator) for name, cell in added.items()}}
        for row, added in zip(rows, cells, strict=True)
    ]


def _note_late(rows: Sequence[Row], columns: Sequence[str], late: dict[str, str]) -> None:
    known = frozenset(columns)
    for row in rows:
        for name in row.values:
            if name not in known and len(late) < _MOST_LATE_COLUMNS:
                late.setdefault(name, row.where)


def _copy_groups(source: Source, answers: Answered, out: Path) -> None:
    with parquet.opened(source.path) as table, atomic_file(out) as stream:
        schema = table.schema_arrow
        for field in added_columns(source.task):
            schema = schema.append(field)
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for group in row_groups(table):
                columns = [*group.columns, *answers.take(group.num_rows).columns]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=group.num_rows)
        answers.end()


def row_groups(table: pq.ParquetFile, *, most_bytes: int = _GROUP_BYTES) -> Iterator[pa.Table]:
    """The row groups of a file; one of more than `most_bytes` in parts, as it is too large to hold."""
    for number in range(table.num_row_groups):
        about = table.metadata.row_group(number)
        if about.total_byte_size > most_bytes:
            batches = table.iter_batches(batch_size=_CUT_ROWS, row_groups=[number])
            yield from (pa.Table.from_batches([batch]) for batch in batches)
        elif about.num_rows:
            yield table.read_row_group(number)
