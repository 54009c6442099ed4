"""Accuracy against coverage, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation.understanding.proportions import share, share_difference
from tunesmith.evaluation.understanding.selection import select
from tunesmith.model.selection import Goal


def test_the_area_is_the_mean_risk_over_all_coverages() -> None:
    found = select(np.array([0.6, 0.9, 0.7, 0.8]), np.array([True, True, True, False]))
    # among the surest 1, 2, 3, 4 there are 0, 1, 1, 1 mistakes
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert found.best_aurc == pytest.approx((1 / 4) / 4)
    assert found.chance_aurc == 0.25
    assert [(point.coverage, point.accuracy, point.min_confidence) for point in found.points] == [
        (0.25, 1.0, 0.9),
        (0.5, 0.5, 0.8),
        (0.75, pytest.approx(2 / 3), 0.7),
        (1.0, 0.75, 0.6),
    ]


def test_of_equally_sure_rows_the_order_of_the_file_decides_nothing() -> None:
    for right in ([True, False], [False, True]):
        found = select(np.array([0.9, 0.9]), np.array(right))
        assert (found.aurc, found.chance_aurc) == (0.5, 0.5)


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.7, 0.9]), st.booleans()), min_size=1, max_size=60))
def test_no_order_is_better_than_the_best(rows: list[tuple[float, bool]]) -> None:
    confidence, right = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = select(confidence, right)
    assert found.best_aurc <= found.aurc + 1e-12
    assert found.points[-1].coverage == 1
    assert found.points[-1].accuracy == pytest.approx(right.mean())
    assert all(0 <= point.accuracy <= 1 for point in found.points)
    backwards = select(confidence[::-1], right[::-1])
    assert backwards.aurc == pytest.approx(found.aurc)


def test_ten_thousand_rows_make_a_hundred_points() -> None:
    chance = np.random.default_rng(0)
    found = select(chance.random(10_000), chance.random(10_000) < 0.8)
    assert len(found.points) == 100
    assert found.aurc == pytest.approx(0.2, abs=0.02)


def test_goals_of_the_validation_rows_are_measured_on_the_test_rows() -> None:
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.4, 0.4])
    right = np.array([True, True, True, False, True, False])
    kept, never = select(confidence, right, [Goal(0.9, 0.5), Goal(0.99, None)]).goals
    assert (kept.fitted_on, kept.min_confidence) == ("validation", 0.5)
    assert kept.coverage == pytest.approx(4 / 6)
    assert kept.accuracy is not None
    assert kept.accuracy.value == 0.75
    assert (never.min_confidence, never.coverage, never.accuracy) == (None, None, None)
    (unsure,) = select(confidence, right, [Goal(0.9, 0.95)]).goals
    assert (unsure.coverage, unsure.accuracy) == (0.0, None)


def test_goals_without_validation_rows_say_so() -> None:
    found = select(np.linspace(0, 1, 50), np.arange(50) >= 10)
    assert {goal.fitted_on for goal in found.goals} == {"test"}


def test_intervals_are_those_of_the_papers() -> None:
    of_ten, none = share(8, 10), share(0, 10)
    assert [of_ten.low, of_ten.high] == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert [none.low, none.high] == pytest.approx([0.0, 0.2775], abs=1e-4)
    # the first example of Newcombe's table
    found = share_difference(56, 70, 48, 80)
    assert found.value == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx([0.0524, 0.3339], abs=1e-4)


def test_intervals_hold_what_they_promise() -> None:
    chance = np.random.default_rng(0)
    drawn = zip(
        chance.binomial(40, 0.9, 2_000).tolist(), chance.binomial(160, 0.8, 2_000).tolist(), strict=True
    )
    spans = [share_difference(one, 40, other, 160) for one, other in drawn]
    assert 0.93 < np.mean([span.low <= 0.1 <= span.high for span in spans]) < 0.98
