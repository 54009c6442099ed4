from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.shares import shares

LENGTHS = st.lists(st.integers(1, 1000), min_size=1, max_size=60).map(lambda each: np.array(each, np.int64))
PROCESSES = st.integers(1, 9)


@given(LENGTHS, PROCESSES)
def test_shares_part_the_rows(lengths: np.ndarray, processes: int) -> None:
    found = shares(lengths, processes)
    assert len(found) == processes
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    assert all(np.array_equal(share, np.sort(share)) for share in found)


@given(LENGTHS, PROCESSES)
def test_shares_are_balanced_by_tokens(lengths: np.ndarray, processes: int) -> None:
    loads = [int(lengths[share].sum()) for share in shares(lengths, processes)]
    assert max(loads) - min(loads) <= lengths.max()


@given(LENGTHS, PROCESSES)
def test_every_process_finds_the_same_shares(lengths: np.ndarray, processes: int) -> None:
    pairs = zip(shares(lengths, processes), shares(lengths.copy(), processes), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


@given(LENGTHS)
def test_one_process_has_all_rows_as_they_are(lengths: np.ndarray) -> None:
    assert shares(lengths, 1)[0].tolist() == list(range(len(lengths)))


def test_more_processes_than_rows_leave_some_without() -> None:
    assert [share.tolist() for share in shares(np.array([5, 7]), 3)] == [[1], [0], []]
