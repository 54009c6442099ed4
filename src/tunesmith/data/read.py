"""path -> Dataset: every example keeps where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from tunesmith.data.arrow import MOST_CHARS, Record, batches_of
from tunesmith.data.cells import CellError, label_of, labels_of, sorted_labels, text_of
from tunesmith.data.dataset import Dataset, Target, schema_of
from tunesmith.data.formats.rows import Row
from tunesmith.data.formats.source import labelled, open_rows, source_sha256
from tunesmith.data.infer import Columns, infer_columns
from tunesmith.data.preference import infer_preference, known_preference, preferences
from tunesmith.data.problems import ReadLog, refuse, shown
from tunesmith.data.several import infer_kind, looks_joined, sniff_separator
from tunesmith.data.store import Stored, gathered_once
from tunesmith.data.writing import Writing, conversations, infer_writing, known_writing, pairs
from tunesmith.errors import DataError
from tunesmith.task import Kind, Task

__all__ = ["read", "sampled", "stream"]

_SAMPLE_ROWS = 5_000
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
    """Read texts and their targets from a file or from a directory of class directories.

    Columns that neither an argument nor `task` names are inferred; `notes` say so. So is the kind of the
    task, `multi_label` where the labels stand in lists of several, `chat` and `completion` where columns are
    named so and hold free text, `preference` where a rejected answer stands beside a preferred one; and what
    parts the labels of one cell. A task without labels gets the data's own, sorted. Rows that cannot be read
    are `problems` of the dataset: errors, or warnings where `lenient`, with bad bytes replaced and unreadable
    rows left out. Raises DataError or StorageError where nothing can be read.
    """
    log = ReadLog(lenient=lenient)
    sample, rows = sampled(open_rows(Path(path), log))
    asked = _asked_of(task, text_column, label_column, kind, separator)
    labelled_sample = list(labelled(Path(path), sample))
    if writing := _writing(str(path), sample, labelled_sample, asked, log):
        return _read_writing(Path(path), rows, writing, task or Task(), log)
    columns = infer_columns(str(path), labelled_sample, asked.text, asked.target)
    cells = [row.values.get(columns.label) for row in labelled_sample]
    targets = _targets(cells, asked, log)
    records = _labelled(labelled(Path(path), rows), columns, targets, log)
    about = {"columns": [columns.text, columns.label], "separator": targets.separator}
    stored = _stored(Path(path), records, targets.kind, about, log)
    return _dataset(path, task or Task(), columns, targets, stored, log)


def _stored(
    path: Path, records: Iterable[Record], kind: Kind, about: Mapping[str, object], log: ReadLog
) -> Stored:
    """The table of all records, and where it is large, what else it depends on beside `about`."""
    schema = schema_of(kind)
    told = {"file": str(path), "kind": kind, "lenient": log.lenient, **about}
    stored = gathered_once(
        batches_of(records, schema), schema, lambda: {"sha256": source_sha256(path), **told}, log
    )
    if not stored.table.num_rows:
        raise DataError(log.problems)
    return stored


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an argument or the task says of the columns, None where it is to be inferred."""

    text: str | None
    target: str | None
    kind: Kind | None
    separator: str | None
    labels: bool = False
    """Whether the labels are listed."""
    rejected: str | None = None


def _asked_of(
    task: Task | None, text: str | None, target: str | None, kind: Kind | None, separator: str | None
) -> _Asked:
    if task is None:
        return _Asked(text, target, kind, separator)
    kind = kind or (task.kind if "kind" in task.model_fields_set else None)
    # the columns that a task has by default are those of labels
    said = task.model_fields_set if kind in ("completion", "chat", "preference") else Task.model_fields
    text = text or (task.text_column if "text_column" in said else None)
    target = target or (task.target_column if "target_column" in said else None)
    return _Asked(text, target, kind, separator or task.separator, bool(task.labels), task.rejected_column)


def _writing(
    where: str, sample: Sequence[Row], labelled_sample: Sequence[Row], asked: _Asked, log: ReadLog
) -> Writing | None:
    match asked.kind:
        case "completion" | "chat":
            return known_writing(where, sample, asked.kind, asked.text, asked.target)
        case "preference":
            return known_preference(where, sample, asked.text, asked.target, asked.rejected)
        case None if not asked.separator and not asked.labels:
            if found := infer_preference(sample, asked.text, asked.target):
                return found
            return infer_writing(where, sample, labelled_sample, asked.text, asked.target, log.notes)
        case _:
            return None


def _read_writing(path: Path, rows: Iterable[Row], writing: Writing, task: Task, log: ReadLog) -> Dataset:
    about = {"columns": [writing.text, writing.target, writing.context, writing.rejected]}
    stored = _stored(path, _written(rows, writing, log), writing.kind, about, log)
    found = {"kind": writing.kind, "text_column": writing.text, "target_column": writing.target}
    found |= {"rejected_column": writing.rejected}
    task = task.model_copy(update=found)
    return Dataset(task, stored.table, (*log.notes, writing.note), log.problems, stored.mapped)


def _written(rows: Iterable[Row], writing: Writing, log: ReadLog) -> Iterator[Record]:
    match writing.kind:
        case "chat":
            return conversations(rows, writing, log)
        case "preference":
            return preferences(rows, writing, log)
        case _:
            return pairs(rows, writing, log)


def stream(
    path: Path | str, *, lenient: bool = False, for_labels: bool = True, log: ReadLog | None = None
) -> Iterator[Row]:
    """The rows of a file in constant memory; raise DataError at the first that cannot be read.

    Where `lenient`, bad bytes are replaced and unreadable rows are left out. Where they are `for_labels`,
    OpenAI's rows have a text and a label beside what stands in them. A `log` decides that itself, and hears
    of every fault.
    """
    rows = open_rows(Path(path), log or ReadLog(strict=not lenient, lenient=lenient))
    return labelled(Path(path), rows) if for_labels else rows


def sampled(rows: Iterator[Row]) -> tuple[list[Row], Iterator[Row]]:
    """The first rows, held in bounded memory, and all rows."""
    sample: list[Row] = []
    chars = 0
    for row in rows:
        sample.append(row)
        chars += sum(len(str(cell)) for cell in row.values.values() if isinstance(cell, (str, list)))
        if len(sample) >= _SAMPLE_ROWS or chars >= MOST_CHARS:
            break
    return sample, chain(sample, rows)


@dataclass(frozen=True, slots=True)
class _Targets:
    """How a cell of the labels is read."""

    kind: Kind
    separator: str | None
    read: Callable[[object], Target]


def _targets(cells: Sequence[object], asked: _Asked, log: ReadLog) -> _Targets:
    said, given = asked.kind, asked.separator
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


def _labelled(rows: Iterable[Row], columns: Columns, targets: _Targets, log: ReadLog) -> Iterator[Record]:
    for row in rows:
        try:
            yield text_of(row.values.get(columns.text)), targets.read(row.values.get(columns.label)), row
        except CellError as fault:
            log.fault(fault.code, fault.what, row.where, fault.fix)


def _dataset(
    path: Path | str, task: Task, columns: Columns, targets: _Targets, stored: Stored, log: ReadLog
) -> Dataset:
    notes = list(log.notes)
    if columns.inferred:
        notes.append(f'text is read from column "{columns.text}", label from "{columns.label}"')
    # the task's own validator does not run on a copy: one label is for the check to refuse, in plain words
    found = {"text_column": columns.text, "target_column": columns.label}
    task = task.model_copy(update={**found, "kind": targets.kind, "separator": targets.separator})
    dataset = Dataset(task, stored.table, tuple(notes), log.problems, stored.mapped)
    if task.labels:
        return dataset
    labels = sorted_labels(dataset.label_counts)
    _refuse_free_text(path, columns.label, labels, len(dataset))
    task = task.model_copy(update={"labels": labels})
    return replace(dataset, task=task, notes=(*notes, _labels_note(labels)))


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
    fix = "name the column of the labels with --label-column; to learn to write the text: --kind completion"
    raise refuse("too-many-labels", what, path, fix)
