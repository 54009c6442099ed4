"""Texts side by side for attention: none is lost, none is filled up by much, and none waits for all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.model.tiles import TILE, Layout, layout_of

CPU = torch.device("cpu")


def laid_out(lengths: list[int], queries: list[int] | None = None, heads: int = 1) -> Layout:
    return layout_of(tuple(lengths), tuple(queries or lengths), heads, CPU)


def scores(layout: Layout) -> int:
    """How many are computed for one head."""
    return sum(
        tile.matrices * (tile.queries.stop - tile.queries.start) * (tile.keys.stop - tile.keys.start)
        for tile in layout.tiles
    )


@given(st.lists(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))), min_size=1))
def test_every_token_has_a_row_and_what_is_left_fills_up(texts: list[tuple[int, int]]) -> None:
    lengths, queries = (list(values) for values in zip(*texts, strict=True))
    heads = 3
    layout = laid_out(lengths, queries, heads)
    for rows, places, count in (
        (layout.query_rows, layout.query_places, sum(queries) * heads),
        (layout.key_rows, layout.key_places, sum(lengths) * heads),
    ):
        assert torch.equal(rows[places], torch.arange(count))
    real = torch.ones(len(layout.query_rows), dtype=torch.bool)
    real[layout.fillers] = False
    assert torch.equal(real.nonzero()[:, 0], layout.query_places.sort().values)


@given(st.lists(st.integers(1, 400), min_size=1))
def test_little_is_computed_for_nothing(lengths: list[int]) -> None:
    layout = laid_out(lengths)
    alone = sum(scores(laid_out([length])) for length in lengths)
    assert alone <= scores(layout) <= alone / 0.8**2
    assert all(tile.queries.stop - tile.queries.start <= TILE for tile in layout.tiles)


def test_texts_of_like_length_are_computed_together_and_long_ones_alone() -> None:
    assert [tile.matrices for tile in laid_out([50, 9, 45, 10, 48]).tiles] == [3, 2]
    long = laid_out([300, 290]).tiles
    assert [tile.matrices for tile in long] == [1] * 6
    assert [tile.sees_all for tile in long] == [False, False, True] * 2


def test_one_query_of_each_long_text_is_computed_together() -> None:
    (tile,) = laid_out([300, 290], [1, 1]).tiles
    assert tile.positions is not None
    assert tile.positions.tolist() == [[299], [289]]


def test_of_many_texts_no_more_come_together_than_a_cache_holds() -> None:
    texts = [tile.matrices for tile in laid_out([64] * 40).tiles]
    assert texts == [16, 16, 8]


@pytest.mark.parametrize("heads", [1, 4])
def test_heads_of_a_text_stand_one_after_the_other(heads: int) -> None:
    layout = laid_out([3, 2], heads=heads)
    (three, two) = np.split(layout.key_rows.numpy(), [3 * heads])
    assert three.reshape(heads, 3).tolist() == [[t * heads + head for t in range(3)] for head in range(heads)]
    assert two.reshape(heads, 2).tolist() == [[t * heads + head for t in (3, 4)] for head in range(heads)]
