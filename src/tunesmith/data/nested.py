"""Shares of the training rows, each within the next, with every label in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset
from tunesmith.data.stratify import stratified

__all__ = ["nested"]

Rows = npt.NDArray[np.int64]


def nested(train: Dataset, sizes: Sequence[int], seed: int) -> list[Rows]:
    """As many of the rows, ascending, as each of `sizes` says; the smaller lie within the larger.

    Labels have in each about the share that they have in all, and at least one row where there are enough.
    """
    if train.task.kind == "multi_label":
        return _halved(train, sizes, seed)
    order = _by_label(np.asarray(train.label_ids), seed)
    return [np.sort(order[:size]) for size in sizes]


def _by_label(labels: npt.NDArray[np.int32], seed: int) -> Rows:
    """All rows, each label's at even distances, so that any first ones have even shares of the labels."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = shuffled[labels[shuffled] == label]
        # the first row of each label stands before all others
        place[rows] = np.append(-1.0, np.arange(1, rows.size)) / rows.size
    return np.asarray(shuffled[np.argsort(place[shuffled], kind="stable")])


def _halved(train: Dataset, sizes: Sequence[int], seed: int) -> list[Rows]:
    """The largest first, and each smaller one out of the one before."""
    labels = train.target_lists
    rows = np.random.default_rng(seed).permutation(len(train))
    found = []
    for size in sorted(sizes, reverse=True):
        share = size / len(rows)
        parts = stratified([labels[row] or () for row in rows.tolist()], (share, 1 - share))
        rows = rows[parts == 0]
        found.append(np.sort(rows))
    return found[::-1]
