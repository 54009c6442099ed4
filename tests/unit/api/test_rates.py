"""The moving window: never more than the limit in any minute, and told when there is room."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.conftest import Clock
from tunesmith.api.rates import Rates


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_limit_is_reached_and_leaves_after_a_minute(clock: Clock) -> None:
    rates = Rates(clock=clock)
    assert [rates.take("alice", "requests", 1, 3) for _ in range(3)] == [0, 0, 0]
    wait = rates.take("alice", "requests", 1, 3)
    assert 60 <= wait <= 61
    # refused requests push nothing back
    clock.now += wait - 1
    assert rates.take("alice", "requests", 1, 3) == 1
    clock.now += 1
    assert rates.take("alice", "requests", 1, 3) == 0


def test_callers_and_kinds_are_counted_apart(clock: Clock) -> None:
    rates = Rates(clock=clock)
    assert rates.take("alice", "texts", 5, 5) == 0
    assert rates.take("alice", "texts", 1, 5) > 0
    assert rates.take("alice", "requests", 1, 5) == 0
    assert rates.take("bob", "texts", 5, 5) == 0


def test_of_many_callers_those_seen_longest_ago_are_forgotten(clock: Clock) -> None:
    rates = Rates(callers=8, clock=clock)
    for number in range(8):
        clock.now += 1
        assert rates.take(f"caller {number}", "requests", 1, 1) == 0
    assert rates.take("another", "requests", 1, 1) == 0
    assert [rates.take(f"caller {number}", "requests", 1, 1) > 0 for number in range(1, 8)] == [True] * 7


Steps = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 10)), max_size=60)


@given(Steps)
def test_no_minute_holds_more_than_the_limit_and_the_wait_is_right(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    rates = Rates(callers=8, clock=clock)
    taken: list[tuple[float, int]] = []
    for seconds, amount in steps:
        clock.now += seconds
        wait = rates.take("alice", "texts", amount, 10)
        if wait:
            assert sum(count for at, count in taken if at > clock.now - 61) + amount > 10
            clock.now += wait
            assert rates.take("alice", "texts", amount, 10) == 0
        taken.append((clock.now, amount))
        assert sum(count for at, count in taken if at > clock.now - 60) <= 10


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes_count_together(clock: Clock) -> None:
    rates = Rates(clock=clock)
    child = os.fork()
    if not child:
        os._exit(rates.take("alice", "requests", 1, 1))
    assert os.waitpid(child, 0)[1] == 0
    assert rates.take("alice", "requests", 1, 1) > 0
