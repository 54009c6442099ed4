"""What a model answered on each test row, kept so that runs can be compared row by row; without a text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith.data.dataset import Dataset
from tunesmith.data.facts import facts_of
from tunesmith.data.texts import Keys, same_text_keys
from tunesmith.errors import Problem, StorageError
from tunesmith.evaluation.types import Bools, Floats, Ints
from tunesmith.files import storage_errors
from tunesmith.task import Kind

__all__ = ["Predictions", "label_predictions", "read_predictions", "written_predictions"]

_FORMAT = 1
_ABOUT = b"tunesmith"


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The answers of one model, in the order of the test rows.

    `keys` (rows,) are hashes of the texts; `source` (rows,) is the file of each, of `files`, and `lines`
    (rows,) the line in it. `truth` is a label id (rows,), or of several labels (rows, labels), or of what is
    written a number for each reference. `probabilities` are (rows, labels), `given` (rows, labels) the labels
    that a multi-label model gives. `scores` (name -> (rows,)) are of written answers.
    """

    kind: Kind
    labels: tuple[str, ...]
    keys: Keys
    files: tuple[str, ...]
    source: Ints
    lines: Ints
    truth: npt.NDArray[Any]
    probabilities: Floats | None = None
    given: Bools | None = None
    scores: dict[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def answers(self) -> Bools | Ints:
        """What was answered, to be compared with `truth`: the likeliest label, or the labels given."""
        if self.kind == "multi_label":
            assert self.given is not None, "several labels are given or not"
            return self.given
        assert self.probabilities is not None, "labels have probabilities"
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def right(self) -> Bools:
        """(rows,) which rows are answered wholly rightly."""
        if self.scores:
            by = "reward_accuracy" if self.kind == "preference" else "exact_match"
            return np.asarray(self.scores[by] == 1)
        same = np.asarray(self.answers == self.truth)
        return same if same.ndim == 1 else np.asarray(same.all(axis=1))

    def where(self, row: int) -> str:
        """file:line of a row."""
        return f"{self.files[self.source[row]]}:{self.lines[row]}"

    def take(self, rows: Ints) -> Predictions:
        """The same of some rows, in their order."""
        return replace(
            self,
            keys=self.keys[rows],
            source=self.source[rows],
            lines=self.lines[rows],
            truth=self.truth[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            given=None if self.given is None else self.given[rows],
            scores={name: values[rows] for name, values in self.scores.items()},
        )

    def in_order(self, labels: Sequence[str]) -> Predictions:
        """The same with the labels in another order."""
        if tuple(labels) == self.labels:
            return self
        order = np.asarray([self.labels.index(label) for label in labels])
        several = self.kind == "multi_label"
        return replace(
            self,
            labels=tuple(labels),
            truth=self.truth[:, order] if several else np.argsort(order)[self.truth],
            probabilities=None if self.probabilities is None else self.probabilities[:, order],
            given=None if self.given is None else self.given[:, order],
        )

    def to_bytes(self) -> bytes:
        """A Parquet file; probabilities are fp32 in it."""
        columns: dict[str, Any] = {
            "key": pa.array(self.keys),
            "file": pa.DictionaryArray.from_arrays(
                pa.array(self.source, pa.int32()), pa.array(self.files, pa.string())
            ),
            "line": pa.array(self.lines, pa.int64()),
            "truth": _column(self.truth),
        }
        if self.probabilities is not None:
            flat = pa.array(np.ascontiguousarray(self.probabilities, np.float32).ravel())
            columns["probabilities"] = pa.FixedSizeListArray.from_arrays(flat, len(self.labels))
        if self.given is not None:
            columns["given"] = _column(self.given)
        columns |= {f"score_{name}": pa.array(values) for name, values in self.scores.items()}
        about = {"format": _FORMAT, "kind": self.kind, "labels": self.labels}
        table = pa.table(columns).replace_schema_metadata({_ABOUT: json.dumps(about)})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        return bytes(sink.getvalue())


def label_predictions(test: Dataset, probabilities: Floats, given: Bools | None = None) -> Predictions:
    """What a model that gives labels answered; `given` (rows, labels) where they are several."""
    facts = facts_of(test)
    return Predictions(
        kind=test.task.kind,
        labels=test.task.labels,
        keys=facts.keys,
        **_places(test),
        truth=np.asarray(test.label_ids if given is None else test.label_matrix),
        probabilities=probabilities,
        given=given,
    )


def written_predictions(test: Dataset, scores: dict[str, Floats]) -> Predictions:
    """How good a model's written answers are, row by row: `scores` are name -> (rows,)."""
    references = same_text_keys(test.table.column("target"))
    keys = facts_of(test).keys
    return Predictions(test.task.kind, (), keys, **_places(test), truth=references, scores=scores)


class _Places(TypedDict):
    files: tuple[str, ...]
    source: Ints
    lines: Ints


def _places(rows: Dataset | pa.Table) -> _Places:
    """Where each row came from, in numbers."""
    table = rows.table if isinstance(rows, Dataset) else rows
    column = table.column("file").unify_dictionaries()
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    return {
        "files": tuple(chunks[0].dictionary.to_pylist()) if chunks else (),
        "source": np.concatenate([np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in chunks)]),
        "lines": np.asarray(table.column("line").to_numpy()),
    }


def _column(values: npt.NDArray[Any]) -> pa.Array:
    """(rows,) as they are, of (rows, labels) the ids of the labels that are set."""
    if values.ndim == 1:
        return pa.array(values)
    rows, ids = np.nonzero(values)
    ends = np.searchsorted(rows, np.arange(len(values) + 1))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(ids, pa.int32()))


def read_predictions(path: Path) -> Predictions:
    """What `to_bytes` made; raise StorageError where the file is missing, damaged or of a later format."""
    with storage_errors(path):
        data = path.read_bytes()
    try:
        table = pq.read_table(pa.BufferReader(data))
        about = json.loads(table.schema.metadata[_ABOUT])
        if about["format"] > _FORMAT:
            raise ValueError(f"it has format {about['format']}, and this tunesmith reads up to {_FORMAT}")
        return _from_table(table, about["kind"], tuple(about["labels"]))
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        fix = "train the run again, or upgrade tunesmith where a later one wrote it"
        raise StorageError(Problem("bad-predictions", f"cannot be read: {error}", str(path), fix)) from error


def _from_table(table: pa.Table, kind: Kind, labels: tuple[str, ...]) -> Predictions:
    table, names = table.combine_chunks(), set(table.column_names)

    def column(name: str) -> npt.NDArray[Any]:
        return np.asarray(table.column(name).to_numpy())

    def matrix(name: str) -> Bools:
        return _marked(table.column(name), len(labels))

    several, given_labels = kind == "multi_label", "probabilities" in names
    return Predictions(
        kind=kind,
        labels=labels,
        keys=column("key").astype(np.uint64),
        **_places(table),
        truth=matrix("truth") if several else column("truth"),
        probabilities=_probabilities(table, len(labels)) if given_labels else None,
        given=matrix("given") if several else None,
        scores={name.removeprefix("score_"): column(name) for name in names if name.startswith("score_")},
    )


def _probabilities(table: pa.Table, labels: int) -> Floats:
    flat = pa.concat_arrays([chunk.flatten() for chunk in table.column("probabilities").chunks])
    return np.asarray(flat.to_numpy()).reshape(-1, labels)


def _marked(column: pa.ChunkedArray, labels: int) -> Bools:
    marks = np.zeros((len(column), labels), np.bool_)
    for row, ids in enumerate(column.to_pylist()):
        marks[row, ids] = True
    return marks
