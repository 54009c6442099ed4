"""Which rows of a dataset share a text and a label: the numbers that check, mend and split work on."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tunesmith.data.dataset import Dataset
from tunesmith.data.texts import EMPTY_KEY, Codes, Keys, same_text_keys
from tunesmith.data.written import keys_of_writing

__all__ = ["Facts", "Rows", "facts_of"]

Rows = npt.NDArray[np.int64]  # row numbers from 0, ascending


@dataclass(frozen=True, slots=True)
class Facts:
    """Arrays over the rows of `dataset`."""

    dataset: Dataset
    keys: Keys
    """The same_text_key of each text; of what is written that of its prompt, or of itself without one."""
    codes: Codes
    """A number for each row, equal where the targets are equal, -1 where there is none."""
    labels: tuple[str, ...]
    """The distinct labels, in order of first appearance."""
    several: tuple[Rows, Codes] | None = None
    """`bearers` and `borne` where a row may have several labels; else the codes are the labels."""

    @property
    def bearers(self) -> Rows:
        """(pairs,) the row of every label that a row bears."""
        return np.flatnonzero(self.codes >= 0) if self.several is None else self.several[0]

    @property
    def borne(self) -> Codes:
        """(pairs,) that label, as an index into `labels`."""
        return self.codes[self.codes >= 0] if self.several is None else self.several[1]

    @property
    def empty(self) -> Rows:
        """Rows without a text."""
        return np.flatnonzero(self.keys == EMPTY_KEY)

    @property
    def unlabelled(self) -> Rows:
        """Rows without a label, or with nothing written."""
        return np.flatnonzero(self.codes < 0)

    @property
    def grouped(self) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """All rows in the order of their keys, equal keys in the order of the rows, and which begin a key."""
        order = np.argsort(self.keys, kind="stable")
        return order, _begins(self.keys[order])

    @property
    def repeated(self) -> Rows:
        """Rows whose text, and of what is written whose target too, stands in an earlier row."""
        order, first = self.grouped
        if self.dataset.task.writes:
            order = np.lexsort((self.codes, self.keys))
            first = _begins(self.keys[order]) | _begins(self.codes[order])
        again: Rows = order[~first & (self.keys[order] != EMPTY_KEY)]
        again.sort()
        return again

    @property
    def contradictory(self) -> Rows:
        """Rows with a target whose text also stands under another target."""
        order, first = self.grouped
        group = np.cumsum(first, dtype=np.int32)
        told = (self.codes[order] >= 0) & (self.keys[order] != EMPTY_KEY)
        order, group = order[told], group[told]
        codes = self.codes[order]
        parted = (group[1:] == group[:-1]) & (codes[1:] != codes[:-1])
        rows: Rows = np.sort(order[np.isin(group, group[1:][parted], kind="table")])
        return rows

    @property
    def counts(self) -> dict[str, int]:
        """label -> rows."""
        counts = np.bincount(self.borne, minlength=len(self.labels))
        return dict(zip(self.labels, counts.tolist(), strict=True))

    def rows_of(self, label: str) -> Rows:
        """Rows with this label."""
        rows: Rows = self.bearers[self.borne == self.labels.index(label)]
        return rows

    def where(self, row: int | np.int64) -> str:
        """file:line of a row."""
        return self.dataset.where(int(row))

    def take(self, rows: Rows) -> Facts:
        """The same facts about some of the rows."""
        taken = self.dataset.take(rows)
        return Facts(taken, self.keys[rows], self.codes[rows], self.labels, self._several_of(rows))

    def _several_of(self, rows: Rows) -> tuple[Rows, Codes] | None:
        if self.several is None:
            return None
        place = np.full(len(self.keys), -1)
        place[rows] = np.arange(rows.size)
        bearers = place[self.bearers]
        kept = bearers >= 0
        return bearers[kept], self.borne[kept]


def _begins(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which values are not the same as the one before."""
    return np.append(np.ones(min(1, values.size), np.bool_), values[1:] != values[:-1])


def facts_of(dataset: Dataset) -> Facts:
    """Hash the texts and number the targets of a dataset; once for the same dataset."""
    return Facts(dataset, *dataset.once("facts", lambda: _found(dataset)))


def _found(dataset: Dataset) -> tuple[Keys, Codes, tuple[str, ...], tuple[Rows, Codes] | None]:
    match dataset.task.kind:
        case "single_label":
            return _keys(dataset), *_single(dataset)
        case "multi_label":
            return _keys(dataset), *_several(dataset)
        case _:
            # what is written is no label that a row bears
            return *keys_of_writing(dataset), (), (np.zeros(0, np.int64), np.zeros(0, np.int32))


def _keys(dataset: Dataset) -> Keys:
    keys, start = np.empty(len(dataset), np.uint64), 0
    for batch in dataset.batches():
        keys[start : start + batch.num_rows] = same_text_keys(pa.chunked_array([batch.column("text")]))
        start += batch.num_rows
    return keys


_OfTargets = tuple[Codes, tuple[str, ...], tuple[Rows, Codes] | None]


def _single(dataset: Dataset) -> _OfTargets:
    codes_of_labels: dict[str, int] = {}
    codes, start = np.full(len(dataset), -1, np.int32), 0
    for batch in dataset.batches():
        coded = batch.column("target").dictionary_encode()
        found = [
            codes_of_labels.setdefault(label, len(codes_of_labels)) for label in coded.dictionary.to_pylist()
        ]
        # a null takes the place after the last label
        places = coded.indices.fill_null(len(found)).to_numpy()
        codes[start : start + batch.num_rows] = np.asarray([*found, -1], np.int32)[places]
        start += batch.num_rows
    return codes, tuple(codes_of_labels), None


def _several(dataset: Dataset) -> _OfTargets:
    codes_of_labels: dict[str, int] = {}
    codes_of_sets: dict[frozenset[str], int] = {}
    codes, bearers, borne = array("i"), array("q"), array("i")
    for batch in dataset.batches():
        for labels in batch.column("target").to_pylist():
            if labels is not None:
                bearers.extend([len(codes)] * len(labels))
                borne.extend(codes_of_labels.setdefault(label, len(codes_of_labels)) for label in labels)
            codes.append(
                -1 if labels is None else codes_of_sets.setdefault(frozenset(labels), len(codes_of_sets))
            )
    pairs = np.asarray(bearers, np.int64), np.asarray(borne, np.int32)
    return np.asarray(codes, np.int32), tuple(codes_of_labels), pairs
