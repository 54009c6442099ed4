"""Example and Dataset: labelled text that knows where each row came from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tunesmith.errors import Problem
from tunesmith.task import Kind, Task

__all__ = ["SCHEMA", "Dataset", "Example", "Splits", "Target", "dataset_of", "schema_of"]

Target = str | tuple[str, ...] | None
"""A label; of a multi-label text its labels, of which there may be none; of a prompt its completion, of a
chat the last answer; None where there is no target."""

SCHEMA = pa.schema(
    [
        pa.field("text", pa.large_string()),  # null: the cell was empty; of a chat its messages as JSON
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

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> Example:
        return _example(self.table.slice(index, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Example]:
        for batch in self.table.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                yield _example(row)

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
    def label_ids(self) -> list[int]:
        """Every label id; the data must have passed the check."""
        ids = self.task.label_ids
        return [ids[target] for target in self.targets if target is not None]

    @property
    def label_matrix(self) -> npt.NDArray[np.bool_]:
        """(rows, labels) which labels each row has; the data must have passed the check."""
        ids, targets = self.task.label_ids, self.target_lists
        matrix = np.zeros((len(targets), len(ids)), np.bool_)
        for row, labels in enumerate(targets):
            matrix[row, [ids[label] for label in labels or ()]] = True
        return matrix

    @property
    def label_counts(self) -> dict[str, int]:
        """label -> rows, in the task's label order, then labels that are not the task's; none of writing."""
        if self.task.writes:
            return {}
        counts = Counter(label for labels in self.target_lists for label in labels or ())
        known = {label: counts.pop(label, 0) for label in self.task.labels}
        return known | dict(counts.most_common())

    @property
    def sha256(self) -> str:
        """A hash of texts and labels in order, whatever file or format they came from."""
        digest = hashlib.sha256()
        for example in self:
            for part in (example.text, *_hashed(example.target)):
                encoded = part.encode("utf-8", "surrogatepass")
                digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()

    def where(self, index: int) -> str:
        """file:line of a row."""
        return self[index].where

    def take(self, indices: Sequence[int]) -> Dataset:
        """The rows at `indices`, in that order."""
        picked = self.table.take(pa.array(indices, pa.int64()))
        return replace(self, table=picked)


def _example(row: dict[str, Any]) -> Example:
    target = row["target"]
    labels = tuple(target) if isinstance(target, list) else target
    return Example(row["text"] or "", labels, f"{row['file']}:{row['line']}")


def _hashed(target: Target) -> tuple[str, ...]:
    match target:
        case None:
            return ("\0",)
        case str():
            return (target,)
        case _:
            # how many there are keeps a row's labels apart from the next row's text
            return (str(len(target)), *target)


@dataclass(frozen=True, slots=True)
class Splits:
    """The three parts of the data, and how they came about."""

    train: Dataset
    validation: Dataset
    test: Dataset
    seed: int
    how: str
    """One sentence that says where each part came from."""


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
