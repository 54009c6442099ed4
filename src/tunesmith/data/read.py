"""path -> Dataset: every example keeps where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.cells import CellError, label_of, labels_of, sorted_labels, text_of
from tunesmith.data.dataset import Dataset, Target, schema_of
from tunesmith.data.formats.rows import Row
from tunesmith.data.formats.source import open_rows
from tunesmith.data.infer import Columns, infer_columns
from tunesmith.data.problems import ReadLog, refuse, shown
from tunesmith.data.several import infer_kind, looks_joined, sniff_separator
from tunesmith.data.store import Stored, content_sha256, gathered_once
from tunesmith.errors import DataError
from tunesmith.task import Kind, Task

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
    kind: Kind | None = None,
    separator: str | None = None,
    lenient: bool = False,
) -> Dataset:
    """Read labelled texts from a file or from a directory of class directories.

    Columns that neither an argument nor `task` names are inferred; `notes` say so. So is the kind of the
    task, `multi_label` where the labels stand in lists of several, and what parts the labels of one cell. A
    task without labels gets the data's own, sorted. Rows that cannot be read are `problems` of the dataset:
    errors, or warnings where `lenient`, with bad bytes replaced and unreadable rows left out. Raises
    DataError or StorageError where nothing can be read.
    """
    log = ReadLog(lenient=lenient)
    sample, rows = sampled(open_rows(Path(path), log))
    columns = infer_columns(
        str(path),
        sample,
        text_column or (task.text_column if task else None),
        label_column or (task.target_column if task else None),
    )
    cells = [row.values.get(columns.label) for row in sample]
    targets = _targets(cells, task or Task(), kind, separator, log)
    about = partial(_made_from, Path(path), columns, targets, log)
    stored = gathered_once(_batches(rows, columns, targets, log), schema_of(targets.kind), about, log)
    if not stored.table.num_rows:
        raise DataError(log.problems)
    return _dataset(path, task or Task(), columns, targets, stored, log)


def _made_from(path: Path, columns: Columns, targets: _Targets, log: ReadLog) -> dict[str, object]:
    """All that the rows depend on."""
    return {
        "file": str(path),
        "sha256": content_sha256(path),
        "columns": [columns.text, columns.label],
        "kind": targets.kind,
        "separator": targets.separator,
        "lenient": log.lenient,
    }


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


@dataclass(frozen=True, slots=True)
class _Targets:
    """How a cell of the labels is read."""

    kind: Kind
    separator: str | None
    read: Callable[[object], Target]


def _targets(
    cells: Sequence[object], task: Task, kind: Kind | None, separator: str | None, log: ReadLog
) -> _Targets:
    said = kind or (task.kind if "kind" in task.model_fields_set else None)
    given = separator or task.separator
    if (said or ("multi_label" if given else infer_kind(cells))) == "multi_label":
        separator = given or sniff_separator(cells)
        log.notes += _several_notes(said, given, separator)
        return _Targets("multi_label", separator, partial(labels_of, separator=separator))
    if said is None and (mark := looks_joined(cells)):
        log.notes.append(f"labels look like several joined by {mark!r}; if they are: --kind multi-label")
    return _Targets("single_label", None, label_of)


def _several_notes(said: Kind | None, given: str | None, separator: str | None) -> Iterator[str]:
    if said is None and given is None:
        yield "the labels stand in lists, so a text may have several: the task is multi-label"
    if given is None and separator is not None:
        yield f"the labels of one cell are parted by {separator!r}"


def _batches(
    rows: Iterable[Row], columns: Columns, targets: _Targets, log: ReadLog
) -> Iterator[pa.RecordBatch]:
    schema = schema_of(targets.kind)
    batch = _Batch(schema)
    for row in rows:
        try:
            text, label = text_of(row.values.get(columns.text)), targets.read(row.values.get(columns.label))
        except CellError as fault:
            log.fault(fault.code, fault.what, row.where, fault.fix)
            continue
        batch.append(text, label, row)
        if batch.full:
            yield batch.arrow()
            batch = _Batch(schema)
    yield batch.arrow()


class _Batch:
    """Rows on their way into Arrow."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._texts: list[str | None] = []
        self._labels: list[Target] = []
        self._files: list[str] = []
        self._lines: list[int] = []
        self._chars = 0

    def append(self, text: str | None, label: Target, row: Row) -> None:
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
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _dataset(
    path: Path | str, task: Task, columns: Columns, targets: _Targets, stored: Stored, log: ReadLog
) -> Dataset:
    notes = list(log.notes)
    if columns.inferred:
        notes.append(f'text is read from column "{columns.text}", label from "{columns.label}"')
    # the task's own validator does not run on a copy: one label is for the check to refuse, in plain words
    found = {"text_column": columns.text, "target_column": columns.label}
    task = task.model_copy(update={**found, "kind": targets.kind, "separator": targets.separator})
    if not task.labels:
        labels = sorted_labels(_distinct(stored.table.column("target")))
        _refuse_free_text(path, columns.label, labels, stored.table.num_rows)
        notes.append(_labels_note(labels))
        task = task.model_copy(update={"labels": labels})
    return Dataset(task, stored.table, tuple(notes), log.problems, stored.mapped)


def _distinct(targets: pa.ChunkedArray) -> list[str]:
    labels = pc.list_flatten(targets) if pa.types.is_list(targets.type) else targets
    distinct: list[str] = pc.unique(labels).drop_null().to_pylist()
    return distinct


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
