"""Which rows of a dataset share a text and a label: the numbers that check, mend and split work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    """Index into `labels` of each row, -1 where there is no label."""
    labels: tuple[str, ...]
    """The distinct labels, in order of first appearance."""

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
        """Labelled rows whose text also stands under another label."""
        told = (self.codes >= 0) & (self.keys != EMPTY_KEY)
        keys, codes = self.keys[told], self.codes[told]
        order = np.lexsort((codes, keys))
        keys, codes = keys[order], codes[order]
        parted = (keys[1:] == keys[:-1]) & (codes[1:] != codes[:-1])
        return np.flatnonzero(told & np.isin(self.keys, keys[1:][parted]))

    @property
    def counts(self) -> dict[str, int]:
        """label -> rows."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.labels))
        return dict(zip(self.labels, counts.tolist(), strict=True))

    def rows_of(self, label: str) -> Rows:
        """Rows with this label."""
        return np.flatnonzero(self.codes == self.labels.index(label))

    def where(self, row: int | np.int64) -> str:
        """file:line of a row."""
        return self.dataset.where(int(row))

    def take(self, rows: Rows) -> Facts:
        """The same facts about some of the rows."""
        return Facts(self.dataset.take(rows.tolist()), self.keys[rows], self.codes[rows], self.labels)


def facts_of(dataset: Dataset) -> Facts:
    """Hash the texts and number the labels of a dataset."""
    coded = dataset.table.column("target").combine_chunks().dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    labels = tuple(coded.dictionary.to_pylist())
    return Facts(dataset, same_text_keys(dataset.table.column("text")), codes, labels)
