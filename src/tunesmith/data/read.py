"""path -> Dataset: every example keeps where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.cells import CellError, label_of, sorted_labels, text_of
from tunesmith.data.dataset import SCHEMA, Dataset
from tunesmith.data.formats.rows import Row
from tunesmith.data.formats.source import open_rows
from tunesmith.data.infer import Columns, infer_columns
from tunesmith.data.problems import ReadLog, refuse, shown
from tunesmith.errors import DataError
from tunesmith.task import Task

__all__ = ["read", "sampled", "stream"]

_SAMPLE_ROWS = 5_000
_BATCH_ROWS = 1 << 16
_MOST_CHARS = 1 << 24  # of a sample or a batch, whatever its rows
_MOST_LABELS = 10_000
_FREE_TEXT_LABELS = 50
_FREE_TEXT_CHARS = 30
_NOTED_LABELS = 10


def read(
    path: Path | str,
    task: Task | None = None,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    lenient: bool = False,
) -> Dataset:
    """Read labelled texts from a file or from a directory of class directories.

    Columns that neither an argument nor `task` names are inferred; `notes` say so. A task without labels
    gets the data's own, sorted. Rows that cannot be read are `problems` of the dataset: errors, or warnings
    where `lenient`, with bad bytes replaced and unreadable rows left out. Raises DataError or StorageError
    where nothing can be read.
    """
    log = ReadLog(lenient=lenient)
    sample, rows = sampled(open_rows(Path(path), log))
    columns = infer_columns(
        str(path),
        sample,
        text_column or (task.text_column if task else None),
        label_column or (task.target_column if task else None),
    )
    table = _table(rows, columns, log)
    if not table.num_rows:
        raise DataError(log.problems)
    return _dataset(path, task or Task(), columns, table, log)


def stream(path: Path | str, *, lenient: bool = False) -> Iterator[Row]:
    """The rows of a file in constant memory; raise DataError at the first that cannot be read.

    Where `lenient`, bad bytes are replaced and unreadable rows are left out.
    """
    return open_rows(Path(path), ReadLog(strict=not lenient, lenient=lenient))


def sampled(rows: Iterator[Row]) -> tuple[list[Row], Iterator[Row]]:
    """The first rows, held in bounded memory, and all rows."""
    sample: list[Row] = []
    chars = 0
    for row in rows:
        sample.append(row)
        chars += sum(len(cell) for cell in row.values.values() if isinstance(cell, str))
        if len(sample) >= _SAMPLE_ROWS or chars >= _MOST_CHARS:
            break
    return sample, chain(sample, rows)


def _table(rows: Iterable[Row], columns: Columns, log: ReadLog) -> pa.Table:
    batches, batch = [], _Batch()
    for row in rows:
        try:
            text, label = text_of(row.values.get(columns.text)), label_of(row.values.get(columns.label))
        except CellError as fault:
            log.fault(fault.code, fault.what, row.where, fault.fix)
            continue
        batch.append(text, label, row)
        if batch.full:
            batches.append(batch.arrow())
            batch = _Batch()
    return pa.Table.from_batches([*batches, batch.arrow()], SCHEMA).unify_dictionaries()


class _Batch:
    """Rows on their way into Arrow."""

    def __init__(self) -> None:
        self._texts: list[str | None] = []
        self._labels: list[str | None] = []
        self._files: list[str] = []
        self._lines: list[int] = []
        self._chars = 0

    def append(self, text: str | None, label: str | None, row: Row) -> None:
        self._texts.append(text)
        self._labels.append(label)
        self._files.append(row.file)
        self._lines.append(row.line)
        self._chars += len(text or "")

    @property
    def full(self) -> bool:
        return len(self._texts) >= _BATCH_ROWS or self._chars >= _MOST_CHARS

    def arrow(self) -> pa.RecordBatch:
        columns = [
            self._texts,
            self._labels,
            pa.array(self._files, pa.string()).dictionary_encode(),
            self._lines,
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _dataset(path: Path | str, task: Task, columns: Columns, table: pa.Table, log: ReadLog) -> Dataset:
    notes = list(log.notes)
    if columns.inferred:
        notes.append(f'text is read from column "{columns.text}", label from "{columns.label}"')
    # the task's own validator does not run on a copy: one label is for the check to refuse, in plain words
    task = task.model_copy(update={"text_column": columns.text, "target_column": columns.label})
    if not task.labels:
        labels = sorted_labels(pc.unique(table.column("target")).drop_null().to_pylist())
        _refuse_free_text(path, columns.label, labels, table.num_rows)
        notes.append(_labels_note(labels))
        task = task.model_copy(update={"labels": labels})
    return replace(Dataset(task, table), notes=tuple(notes), problems=log.problems)


def _labels_note(labels: tuple[str, ...]) -> str:
    more = ", …" if len(labels) > _NOTED_LABELS else ""
    noun = "label" if len(labels) == 1 else "labels"
    return f"{len(labels)} {noun}: {', '.join(labels[:_NOTED_LABELS])}{more}"


def _refuse_free_text(path: Path | str, column: str, labels: Sequence[str], rows: int) -> None:
    many, mostly_new = len(labels) > _FREE_TEXT_LABELS, 2 * len(labels) > rows
    long = sum(map(len, labels)) > _FREE_TEXT_CHARS * len(labels)
    if len(labels) <= _MOST_LABELS and not (many and mostly_new and long):
        return
    what = (
        f"column {shown(column)} holds {len(labels):,} different values in {rows:,} rows: too many for labels"
    )
    fix = "name the column of the labels with --label-column; free text cannot be learned as labels"
    raise refuse("too-many-labels", what, path, fix)
