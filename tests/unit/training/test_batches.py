from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.model.encode import micro_batches
from tunesmith.training.batches import Plan

# of the plan in the test below, as the first tunesmith made it
FOURTH_STEP = [460, 503, 235, 707, 404, 750, 230, 809, 35, 894, 877, 776, 385]
ORDER = "01442ecf8ab819657763a380e29b4e9bd8364a0cef96d968917381e7acfd3671"
LENGTHS = st.lists(st.integers(1, 900), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 2000), st.integers(0, 9), st.integers(1, 3))
def test_every_epoch_sees_every_row_once(lengths: list[int], tokens: int, seed: int, epochs: int) -> None:
    plan = Plan(np.asarray(lengths), epochs, tokens, seed)
    for epoch in range(epochs):
        steps = plan.epoch(epoch)
        assert len(steps) == plan.steps_per_epoch
        assert all(len(rows) for rows in steps)
        assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 500), st.data())
def test_a_run_that_starts_at_any_step_goes_on_as_the_whole_one(
    lengths: list[int], tokens: int, data: st.DataObject
) -> None:
    plan = Plan(np.asarray(lengths), 2, tokens, seed=3)
    start = data.draw(st.integers(0, plan.total_steps))
    whole = [(step, epoch, rows.tolist()) for step, epoch, rows in plan.steps_from(0)]
    rest = [(step, epoch, rows.tolist()) for step, epoch, rows in plan.steps_from(start)]
    assert len(whole) == plan.total_steps
    assert rest == whole[start:]


def test_the_order_is_the_one_that_checkpoints_were_made_with() -> None:
    lengths = np.random.default_rng(1).integers(1, 100, 1_000)
    plan = Plan(lengths, 3, 700, 7)
    told = hashlib.sha256()
    for step, epoch, rows in plan.steps_from(0):
        told.update(np.asarray([step, epoch, *rows], "<i8").tobytes())
    assert plan.total_steps == 216
    assert plan.epoch(1)[3].tolist() == FOURTH_STEP
    assert told.hexdigest() == ORDER


@given(LENGTHS, st.integers(1, 2000), st.integers(0, 9))
def test_steps_are_cut_where_they_are_asked_for(lengths: list[int], tokens: int, seed: int) -> None:
    steps = Plan(np.asarray(lengths), 1, tokens, seed).epoch(0)
    whole = np.split(steps.order, steps.bounds[1:-1])
    assert [rows.tolist() for rows in steps] == [rows.tolist() for rows in whole]
    assert [rows.tolist() for rows in steps[1:]] == [rows.tolist() for rows in whole[1:]]
    assert steps[-1].tolist() == whole[-1].tolist()
    with pytest.raises(IndexError):
        steps[len(whole)]


def test_epochs_and_seeds_shuffle_differently() -> None:
    lengths = np.full(50, 10)
    orders = [
        np.concatenate(Plan(lengths, 2, 100, seed).epoch(epoch)).tolist()
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_steps_hold_about_the_tokens_asked_for() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, 500)
    plan = Plan(lengths, 1, 1000, 0)
    tokens = [int(lengths[rows].sum()) for rows in plan.epoch(0)]
    assert all(850 < count < 1150 for count in tokens)


def _one_by_one(lengths: list[int], budget: int, packed: bool) -> list[list[int]]:
    """The same groups, text by text."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        last = [*groups[-1], index] if groups else []
        tokens = sum(lengths[row] for row in last) if packed else len(last) * lengths[index]
        if groups and tokens <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


@given(LENGTHS, st.integers(1, 2000), st.booleans())
def test_micro_batches_are_what_one_text_after_the_other_gives(
    lengths: list[int], budget: int, packed: bool
) -> None:
    assert micro_batches(lengths, budget, packed=packed) == _one_by_one(lengths, budget, packed)


@given(LENGTHS, st.integers(1, 2000))
def test_micro_batches_stay_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = micro_batches(lengths, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[index] for index in group)
        assert len(group) == 1 or len(group) * longest <= budget


@given(LENGTHS, st.integers(1, 2000))
def test_packed_micro_batches_hold_at_most_the_sum(lengths: list[int], budget: int) -> None:
    groups = micro_batches(lengths, budget, packed=True)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group, following in zip(groups, [*groups[1:], None], strict=True):
        tokens = sum(lengths[index] for index in group)
        assert len(group) == 1 or tokens <= budget
        assert following is None or tokens + lengths[following[0]] > budget, "no group is cut too early"
    assert len(groups) <= len(micro_batches(lengths, budget)), "without padding more fits"


def test_micro_batches_are_in_one_order() -> None:
    assert micro_batches([3, 1, 3, 2], 6) == [[1, 3], [0, 2]]
    assert micro_batches([3, 1, 3, 2], 6, packed=True) == [[1, 3, 0], [2]]
    assert micro_batches([9, 9], 1, packed=True) == [[0], [1]]
    assert micro_batches([], 1) == micro_batches([], 1, packed=True) == []
