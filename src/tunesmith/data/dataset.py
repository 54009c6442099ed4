"""Example and Dataset: labelled text that knows where each row came from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from tunesmith.errors import Problem
from tunesmith.task import Task

__all__ = ["SCHEMA", "Dataset", "Example", "Splits", "dataset_of"]

SCHEMA = pa.schema(
    [
        pa.field("text", pa.large_string()),  # null: the cell was empty
        pa.field("target", pa.large_string()),  # null: no label
        pa.field("file", pa.dictionary(pa.int32(), pa.string())),
        pa.field("line", pa.int64()),  # 1-based line, or row where the format has no lines
    ]
)


@dataclass(frozen=True, slots=True)
class Example:
    """One text and what it should be answered with; `where` is file:line."""

    text: str
    target: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled texts in Arrow; a row keeps its source for ever.

    `notes` says aloud what was inferred while reading; `problems` what reading found wrong.
    """

    task: Task
    table: pa.Table
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> Example:
        row = self.table.slice(index, 1).to_pylist()[0]
        return Example(row["text"] or "", row["target"], f"{row['file']}:{row['line']}")

    def __iter__(self) -> Iterator[Example]:
        for batch in self.table.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                yield Example(row["text"] or "", row["target"], f"{row['file']}:{row['line']}")

    @property
    def texts(self) -> list[str]:
        """Every text, an empty string where there is none."""
        return [text or "" for text in self.table.column("text").to_pylist()]

    @property
    def targets(self) -> list[str | None]:
        """Every label name, None where there is none."""
        targets: list[str | None] = self.table.column("target").to_pylist()
        return targets

    @property
    def label_ids(self) -> list[int]:
        """Every label id; the data must have passed the check."""
        ids = self.task.label_ids
        return [ids[target] for target in self.targets if target is not None]

    @property
    def label_counts(self) -> dict[str, int]:
        """label -> rows, in the task's label order, then labels that are not the task's."""
        counts = Counter(target for target in self.targets if target is not None)
        known = {label: counts.pop(label, 0) for label in self.task.labels}
        return known | dict(counts.most_common())

    @property
    def sha256(self) -> str:
        """A hash of texts and labels in order, whatever file or format they came from."""
        digest = hashlib.sha256()
        for example in self:
            for part in (example.text, "\0" if example.target is None else example.target):
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
    targets: Sequence[str | None],
    file: str = "memory",
    lines: Sequence[int] | None = None,
) -> Dataset:
    """A Dataset from lists in memory; `lines` default to 1, 2, 3, …"""
    numbers = list(lines) if lines is not None else list(range(1, len(texts) + 1))
    files = pa.array([file] * len(texts), pa.string()).dictionary_encode()
    columns = [
        pa.array(texts, pa.large_string()),
        pa.array(targets, pa.large_string()),
        files.cast(SCHEMA.field("file").type),
        pa.array(numbers, pa.int64()),
    ]
    return Dataset(task, pa.Table.from_arrays(columns, schema=SCHEMA))
