from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.stratify import stratified

SHARES = (0.75, 0.1, 0.15)
LABELS = st.lists(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4), min_size=3, max_size=60)


@given(labels=LABELS)
def test_every_text_has_a_part_and_no_part_is_empty(labels: list[list[str]]) -> None:
    parts = stratified(labels, SHARES)
    assert len(parts) == len(labels)
    assert set(parts.tolist()) == {0, 1, 2}


@given(labels=LABELS)
def test_a_part_that_is_not_wanted_gets_nothing(labels: list[list[str]]) -> None:
    assert set(stratified(labels, (0.9, 0.1, 0.0)).tolist()) == {0, 1}


def test_shares_are_even_even_where_labels_stand_together() -> None:
    draw = np.random.default_rng(0)
    chances = (0.5, 0.2, 0.05, 0.02, 0.4)
    drawn = draw.random((2000, 5)) < chances
    labels = [["abcde"[at] for at in np.flatnonzero(row)] for row in drawn]
    parts = stratified(labels, SHARES)
    for name in "abcde":
        counts = Counter(int(part) for part, each in zip(parts, labels, strict=True) if name in each)
        total = sum(counts.values())
        for part, share in enumerate(SHARES):
            assert abs(counts[part] - share * total) <= 2 + 0.03 * total
    assert abs(int((parts == 2).sum()) - 300) <= 6


def test_a_label_of_one_text_is_trained_on() -> None:
    labels = [["rare"], *[["a"]] * 20]
    assert stratified(labels, SHARES)[0] == 0
