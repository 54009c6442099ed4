"""From which confidence on: counted by hand, and never more than was seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.model.selection import Goal, fit_goals


def test_the_lowest_confidence_that_suffices_is_found() -> None:
    confidence = np.arange(1, 101) / 100
    right = np.arange(1, 101) > 20
    # from 0.13 on 80 of 88 are right, from 0.12 on 80 of 89
    assert fit_goals(confidence, right, [0.9])[0] == Goal(0.9, 0.1201)
    assert fit_goals(confidence, right, [0.8])[0] == Goal(0.8, 0.0)
    assert fit_goals(confidence, right, [1.0])[0] == Goal(1.0, 0.2001)


def test_the_order_of_the_rows_does_not_matter() -> None:
    chance = np.random.default_rng(0)
    confidence, right = chance.random(300), chance.random(300) < 0.9
    order = chance.permutation(300)
    assert fit_goals(confidence, right) == fit_goals(confidence[order], right[order])


def test_few_rows_or_too_many_mistakes_promise_nothing() -> None:
    assert fit_goals(np.full(19, 0.9), np.ones(19, bool), [0.9]) == (Goal(0.9, None),)
    assert fit_goals(np.full(20, 0.9), np.ones(20, bool), [0.9]) == (Goal(0.9, 0.0),)
    assert fit_goals(np.full(40, 0.9), np.arange(40) % 2 == 0, [0.9]) == (Goal(0.9, None),)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_what_it_gives_is_kept_on_the_rows_it_saw(rows: list[tuple[float, bool]]) -> None:
    confidence, right = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    for goal in fit_goals(confidence, right):
        if goal.min_confidence is not None:
            answered = confidence >= goal.min_confidence
            assert answered.sum() >= 20
            assert right[answered].mean() >= goal.accuracy


def test_a_higher_goal_needs_no_less_confidence() -> None:
    chance = np.random.default_rng(2)
    confidence = chance.random(20_000)
    found = [each.min_confidence for each in fit_goals(confidence, chance.random(20_000) < confidence)]
    assert found == sorted(found, key=lambda each: each or 0.0)
    assert found[0] == pytest.approx(0.8, abs=0.05)
