"""Shares of the training rows: nested, even in their labels, and with every label."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.nested import nested
from tunesmith.task import Task


def _single(counts: list[int]) -> Dataset:
    labels = [f"l{at}" for at, count in enumerate(counts) for _ in range(count)]
    task = Task(labels=tuple(f"l{at}" for at in range(len(counts))))
    return dataset_of(task, [f"text {at}" for at in range(len(labels))], labels)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 99))
def test_smaller_shares_lie_within_larger_ones(counts: list[int], seed: int) -> None:
    train = _single(counts)
    sizes = sorted({max(len(counts), len(train) // part) for part in (4, 2)})
    found = nested(train, sizes, seed)
    assert [rows.size for rows in found] == sizes
    for smaller, larger in pairwise(found):
        assert set(smaller.tolist()) <= set(larger.tolist())
    for rows in found:
        assert set(np.asarray(train.label_ids)[rows].tolist()) == set(range(len(counts)))
        assert rows.tolist() == sorted(set(rows.tolist()))


def test_labels_keep_their_shares() -> None:
    train = _single([400, 160, 80])
    for rows in nested(train, [80, 160, 320], 3):
        counts = np.bincount(np.asarray(train.label_ids)[rows])
        assert np.abs(counts - rows.size * np.array([400, 160, 80]) / 640).max() <= 2


def test_several_labels_are_nested_and_even_too() -> None:
    targets = [("a",) if at % 2 else ("a", "b") for at in range(160)]
    task = Task(kind="multi_label", labels=("a", "b"))
    train = dataset_of(task, [f"text {at}" for at in range(160)], targets)
    found = nested(train, [20, 40, 80], 0)
    assert [rows.size for rows in found] == [20, 40, 80]
    assert set(found[0].tolist()) <= set(found[1].tolist()) <= set(found[2].tolist())
    for rows in found:
        assert abs(train.label_matrix[rows, 1].mean() - 0.5) < 0.1


def test_one_seed_gives_one_share_and_another_seed_another() -> None:
    train = _single([50, 50])
    first, again, other = (nested(train, [20], seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other
