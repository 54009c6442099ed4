"""Tables -> files: CSV, TSV, JSON Lines or Parquet, streamed and atomic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from tunesmith.data.chat import messages_in, pair_in
from tunesmith.data.compression import COMPRESSIONS, compressed, format_and_compression
from tunesmith.data.dataset import SCHEMA, Dataset
from tunesmith.data.problems import refuse
from tunesmith.data.tables import Write, delimited_table, json_lines_table, parquet_table
from tunesmith.files import atomic_file
from tunesmith.task import Task

__all__ = ["TableWriter", "joined", "open_table", "refuse_unwritable", "separator_for", "write_dataset"]

_TEXT_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
# what has no lists
_JOINED = (".csv", ".tsv")
_BATCH_ROWS = 4096


class TableWriter:
    """Takes the rows of a table that is being written."""

    def __init__(self, columns: Sequence[str], write: Write) -> None:
        self._columns = columns
        self._write = write

    def write(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Append rows; a column that a row lacks stays empty, and cells of other columns are not written."""
        self._write([[row.get(column) for column in self._columns] for row in rows])


@contextmanager
def open_table(
    path: Path | str, columns: Sequence[str], *, guard_formulas: bool = True
) -> Iterator[TableWriter]:
    """Write a table in constant memory that appears at `path` only when the block ends well.

    The suffix tells format and compression. In CSV and TSV `guard_formulas` puts a ' before text that a
    spreadsheet would run as a formula. Raises DataError for another suffix, or where a Parquet column
    changes its type, and StorageError where the file cannot be written.
    """
    path = Path(path)
    refuse_unwritable(path)
    suffix, compression = format_and_compression(path)
    with (
        atomic_file(path) as raw,
        compressed(raw, compression) as stream,
        _table(suffix, stream, columns, guard_formulas) as write,
    ):
        yield TableWriter(columns, write)


def refuse_unwritable(path: Path) -> None:
    """Raise DataError where the suffix tells no format that `open_table` writes."""
    suffix, compression = format_and_compression(path)
    if suffix in _TEXT_SUFFIXES or (suffix == ".parquet" and not compression):
        return
    what = f'the suffix "{suffix}{compression}" tells no format that can be written'
    fix = f"use {', '.join(_TEXT_SUFFIXES)} (each also with {', '.join(COMPRESSIONS)}) or .parquet"
    raise refuse("unknown-format", what, path, fix)


def _table(
    suffix: str, stream: IO[bytes], columns: Sequence[str], guard_formulas: bool
) -> AbstractContextManager[Write]:
    match suffix:
        case ".csv":
            return delimited_table(stream, columns, ",", guard_formulas)
        case ".tsv":
            return delimited_table(stream, columns, "\t", guard_formulas)
        case ".parquet":
            return parquet_table(stream, columns)
        case _:
            return json_lines_table(stream, columns)


def write_dataset(path: Path | str, dataset: Dataset) -> None:
    """Write texts and targets in the task's columns, so that reading them gives the same dataset.

    Several labels become a list, or in CSV and TSV what the task's separator joins; messages become a list of
    objects, in CSV, TSV and Parquet as JSON. Formulas are not guarded: a text must stay the text it is.
    """
    task = dataset.task
    columns = [
        name for name in (task.text_column, task.target_column, task.rejected_column) if name is not None
    ]
    separator = separator_for(path, task)
    with open_table(path, columns, guard_formulas=False) as table:
        for batch in dataset.table.to_batches(max_chunksize=_BATCH_ROWS):
            table.write([dict(zip(columns, cells, strict=True)) for cells in _cells(batch, task, separator)])


def _cells(batch: pa.RecordBatch, task: Task, separator: str | None) -> Iterator[tuple[object, ...]]:
    text, target = (batch.column(SCHEMA.get_field_index(name)).to_pylist() for name in ("text", "target"))
    if task.kind == "chat":
        return zip(map(messages_in, text))
    if task.kind == "preference":
        # OpenAI's rows put an object around what was said before
        prompts = (
            {"messages": each} if task.text_column == "input" else each for each in map(messages_in, text)
        )
        return ((prompt, *pair_in(pair)) for prompt, pair in zip(prompts, target, strict=True))
    return zip(text, (joined(each, separator) for each in target), strict=True)


def separator_for(path: Path | str, task: Task, default: str | None = None) -> str | None:
    """What joins labels in a cell of `path`; None where the format has lists, or a label holds it."""
    suffix, _ = format_and_compression(Path(path))
    separator = task.separator or default
    if suffix not in _JOINED or separator is None or any(separator in label for label in task.labels):
        return None
    return separator


def joined(cell: object, separator: str | None) -> object:
    """A list as one text, its items joined by `separator`; what is no list stays as it is."""
    return cell if separator is None or not isinstance(cell, list) else separator.join(map(str, cell))
