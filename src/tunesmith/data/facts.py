"""Which rows of a dataset share a text and a label: the numbers that check, mend and split work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tunesmith.data.dataset import Dataset
from tunesmith.data.texts import EMPTY_KEY, Keys, same_text_keys

__all__ = ["Facts", "Rows", "facts_of"]

Rows = npt.NDArray[np.int64]  # row numbers from 0, ascending


@dataclass(frozen=True, slots=True)
class Facts:
    """Arrays over the rows of `dataset`."""

    dataset: Dataset
    keys: Keys
    """The same_text_key of each text."""
    codes: npt.NDArray[np.int32]
    """A number for each row, equal where the targets are equal, -1 where there is none."""
    labels: tuple[str, ...]
    """The distinct labels, in order of first appearance."""
    bearers: Rows
    """(pairs,) the row of every label that a row bears"""
    borne: npt.NDArray[np.int32]
    """(pairs,) that label, as an index into `labels`"""

    @property
    def empty(self) -> Rows:
        """Rows without a text."""
        return np.flatnonzero(self.keys == EMPTY_KEY)

    @property
    def unlabelled(self) -> Rows:
        """Rows without a label."""
        return np.flatnonzero(self.codes < 0)

    @property
    def repeated(self) -> Rows:
        """Rows whose text stands in an earlier row."""
        again = self.keys != EMPTY_KEY
        again[np.unique(self.keys, return_index=True)[1]] = False
        return np.flatnonzero(again)

    @property
    def contradictory(self) -> Rows:
        """Rows with a target whose text also stands under another target."""
        told = (self.codes >= 0) & (self.keys != EMPTY_KEY)
        keys, codes = self.keys[told], self.codes[told]
        order = np.lexsort((codes, keys))
        keys, codes = keys[order], codes[order]
        parted = (keys[1:] == keys[:-1]) & (codes[1:] != codes[:-1])
        return np.flatnonzero(told & np.isin(self.keys, keys[1:][parted]))

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
        place = np.full(len(self.keys), -1)
        place[rows] = np.arange(rows.size)
        bearers = place[self.bearers]
        kept = bearers >= 0
        taken = self.dataset.take(rows.tolist())
        return Facts(taken, self.keys[rows], self.codes[rows], self.labels, bearers[kept], self.borne[kept])


def facts_of(dataset: Dataset) -> Facts:
    """Hash the texts and number the labels of a dataset."""
    targets = dataset.table.column("target").combine_chunks()
    of_targets = _several if dataset.task.kind == "multi_label" else _single
    return Facts(dataset, same_text_keys(dataset.table.column("text")), *of_targets(targets))


_OfTargets = tuple[npt.NDArray[np.int32], tuple[str, ...], Rows, npt.NDArray[np.int32]]


def _single(targets: pa.Array) -> _OfTargets:
    coded = targets.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    bearers = np.flatnonzero(codes >= 0)
    return codes, tuple(coded.dictionary.to_pylist()), bearers, codes[bearers]


def _several(targets: pa.Array) -> _OfTargets:
    codes_of_labels: dict[str, int] = {}
    codes_of_sets: dict[frozenset[str], int] = {}
    codes, bearers, borne = [], [], []
    for row, labels in enumerate(targets.to_pylist()):
        if labels is None:
            codes.append(-1)
            continue
        codes.append(codes_of_sets.setdefault(frozenset(labels), len(codes_of_sets)))
        for label in labels:
            bearers.append(row)
            borne.append(codes_of_labels.setdefault(label, len(codes_of_labels)))
    return (
        np.asarray(codes, np.int32),
        tuple(codes_of_labels),
        np.asarray(bearers, np.int64),
        np.asarray(borne, np.int32),
    )
