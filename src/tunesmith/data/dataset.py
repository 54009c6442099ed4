"""Example and Dataset: labelled text that knows where each row came from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.hashing import hashed_bytes
from tunesmith.data.mapped import Mapped
from tunesmith.data.store import gathered
from tunesmith.errors import Problem
from tunesmith.task import Kind, Task

__all__ = ["SCHEMA", "Dataset", "Example", "Splits", "Target", "dataset_of", "schema_of"]

MadeT = TypeVar("MadeT")
Target = str | tuple[str, ...] | None
"""A label; of a multi-label text its labels, of which there may be none; of a prompt its completion, of a
chat the last answer; of a preference both answers as JSON; None where there is no target."""

_BATCH_ROWS = 4096
SCHEMA = pa.schema(
    [
        pa.field(
            "text", pa.large_string()
        ),  # null: the cell was empty; of a chat or a preference messages as JSON
        pa.field("target", pa.large_string()),  # null: no label, no completion, no answer
        pa.field("file", pa.dictionary(pa.int32(), pa.string())),
        pa.field("line", pa.int64()),  # 1-based line, or row where the format has no lines
    ]
)


def schema_of(kind: Kind) -> pa.Schema:
    """The columns of a Dataset: `SCHEMA`, with a list of labels in each row where they are several."""
    if kind != "multi_label":
        return SCHEMA
    at = SCHEMA.get_field_index("target")
    return SCHEMA.set(at, pa.field("target", pa.list_(pa.large_string())))


@dataclass(frozen=True, slots=True)
class Example:
    """One text and what it should be answered with; `where` is file:line."""

    text: str
    target: Target
    where: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Texts and their targets in Arrow; a row keeps its source for ever.

    `notes` says aloud what was inferred while reading; `problems` what reading found wrong.
    """

    task: Task
    table: pa.Table
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    mapped: Mapped | None = field(default=None, repr=False, compare=False)
    """The file that holds `table`, where it is large: no list of all texts should then be made."""
    _made: dict[Hashable, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> Example:
        return _example(self.table.slice(index, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Example]:
        for batch in self.batches():
            for row in batch.to_pylist():
                yield _example(row)

    def batches(self, rows: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The table at most `rows` at a time, in memory that does not grow with it."""
        for batch in self.table.to_batches(max_chunksize=rows):
            yield batch
            if self.mapped is not None:
                self.mapped.release()

    def text_batches(self, rows: int = _BATCH_ROWS) -> Iterator[list[str]]:
        """Every text, at most `rows` at a time; an empty string where there is none."""
        for batch in self.batches(rows):
            yield [text or "" for text in batch.column("text").to_pylist()]

    @property
    def texts(self) -> list[str]:
        """Every text, an empty string where there is none."""
        return [text or "" for text in self.table.column("text").to_pylist()]

    @property
    def targets(self) -> list[str | None]:
        """The target of every row of which each has one, None where there is none."""
        assert self.task.kind != "multi_label", "a row has several targets"
        targets: list[str | None] = self.table.column("target").to_pylist()
        return targets

    @property
    def target_lists(self) -> list[list[str] | None]:
        """The label names of every row, be it one or any number; None where nothing is said."""
        assert not self.task.writes, "what is written is no label"
        targets = self.table.column("target").to_pylist()
        return [[target] if isinstance(target, str) else target for target in targets]

    @property
    def label_ids(self) -> npt.NDArray[np.int32]:
        """Every label id, (rows,); the data must have passed the check."""
        assert self.task.kind == "single_label", "a row has several labels, or none"
        names = pa.array(self.task.labels, pa.large_string())
        return _joined(_ids_of(batch.column("target").drop_null(), names) for batch in self.batches())

    @property
    def label_matrix(self) -> npt.NDArray[np.bool_]:
        """(rows, labels) which labels each row has; the data must have passed the check."""
        names, start = pa.array(self.task.labels, pa.large_string()), 0
        matrix = np.zeros((len(self), len(names)), np.bool_)
        for batch in self.batches():
            rows, labels = _borne(batch.column("target"))
            matrix[start + rows, _ids_of(labels, names)] = True
            start += batch.num_rows
        return matrix

    @property
    def label_counts(self) -> dict[str, int]:
        """label -> rows, in the task's label order, then labels that are not the task's; none of writing."""
        if self.task.writes:
            return {}
        counts: Counter[str] = Counter()
        for batch in self.batches():
            for found in _borne(batch.column("target"))[1].value_counts().to_pylist():
                counts[found["values"]] += found["counts"]
        known = {label: counts.pop(label, 0) for label in self.task.labels}
        return known | dict(counts.most_common())

    @property
    def sha256(self) -> str:
        """A hash of texts and targets in order, whatever file or format they came from."""
        return self.once("sha256", self._hash)

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for batch in self.batches():
            digest.update(hashed_bytes(batch))
        return digest.hexdigest()

    def once(self, name: Hashable, make: Callable[[], MadeT]) -> MadeT:
        """What `make` makes of these rows; the second time, what it made the first time."""
        if name not in self._made:
            self._made[name] = make()
        made: MadeT = self._made[name]
        return made

    def where(self, index: int) -> str:
        """file:line of a row."""
        return self[index].where

    def take(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Dataset:
        """The rows at `indices`, in that order."""
        rows = np.asarray(indices, np.int64)
        if self.mapped is None:
            return replace(self, table=self.table.take(pa.array(rows)))
        # Arrow would copy whole columns to take rows out of order
        order = np.argsort(rows, kind="stable")
        in_order = bool((order[1:] > order[:-1]).all())
        stored = gathered(self._picked(rows[order]), self.table.schema)
        table = stored.table if in_order else stored.table.take(pa.array(np.argsort(order)))
        return replace(self, table=table, mapped=stored.mapped)

    def drawn(self, rows: int, seed: int) -> Dataset:
        """All rows, or as many drawn at random, in their order."""
        if len(self) <= rows:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), rows, replace=False)))

    def _picked(self, rows: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """The rows, which ascend."""
        start = 0
        for batch in self.batches():
            low, high = np.searchsorted(rows, [start, start + batch.num_rows])
            if high > low:
                yield batch.take(pa.array(rows[low:high] - start))
            start += batch.num_rows


def _example(row: dict[str, Any]) -> Example:
    target = row["target"]
    labels = tuple(target) if isinstance(target, list) else target
    return Example(row["text"] or "", labels, f"{row['file']}:{row['line']}")


def _joined(parts: Iterable[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    return np.concatenate([np.zeros(0, np.int32), *parts])


def _ids_of(labels: pa.Array, names: pa.Array) -> npt.NDArray[np.int32]:
    """(labels,) the place of each among `names`."""
    ids = pc.index_in(labels, value_set=names)
    assert not ids.null_count, "the check lets no unknown label through"
    found: npt.NDArray[np.int32] = ids.to_numpy()
    return found


def _borne(targets: pa.Array) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """The row of every label that is borne, and the label."""
    if not pa.types.is_list(targets.type):
        return np.flatnonzero(targets.is_valid()), targets.drop_null()
    counts = targets.value_lengths().fill_null(0).to_numpy()
    return np.repeat(np.arange(len(targets)), counts), targets.flatten()


@dataclass(frozen=True, slots=True)
class Splits:
    """The three parts of the data, and how they came about."""

    train: Dataset
    validation: Dataset
    test: Dataset
    seed: int
    how: str
    """One sentence that says where each part came from."""
    part_of_row: npt.NDArray[np.int8]
    """(rows of the training file,) 0 train, 1 validation, 2 test, -1 left out"""


def dataset_of(
    task: Task,
    texts: Sequence[str | None],
    targets: Sequence[Target],
    file: str = "memory",
    lines: Sequence[int] | None = None,
) -> Dataset:
    """A Dataset from lists in memory; `lines` default to 1, 2, 3, …"""
    numbers = list(lines) if lines is not None else list(range(1, len(texts) + 1))
    files = pa.array([file] * len(texts), pa.string()).dictionary_encode()
    schema = schema_of(task.kind)
    columns = [
        pa.array(texts, pa.large_string()),
        pa.array(targets, schema.field("target").type),
        files.cast(SCHEMA.field("file").type),
        pa.array(numbers, pa.int64()),
    ]
    return Dataset(task, pa.Table.from_arrays(columns, schema=schema))
