"""What a power law says of twice the rows, held to laws that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation.power_law import power_law_gain
from tunesmith.evaluation.types import Floats

ROWS = np.array([125.0, 250.0, 500.0, 1000.0])


def _law(top: float, loss: float, rate: float) -> Floats:
    return np.asarray(top - loss * (np.append(ROWS, 2 * ROWS[-1]) / ROWS[-1]) ** -rate)


@given(st.floats(0.6, 1.0), st.floats(0.0, 0.05), st.sampled_from([0.1, 0.3, 0.5, 1.0, 2.0]))
def test_it_finds_a_law_that_is_one(top: float, loss: float, rate: float) -> None:
    scores = _law(top, loss, rate)
    gain = power_law_gain(ROWS, scores[None, :-1])[0]
    assert gain == pytest.approx(scores[-1] - scores[-2], abs=1e-6)


def test_by_hand() -> None:
    # 0.9 - 0.1 / n with n in thousands: 0.1, 0.5, 0.7, 0.8; at two thousand it is 0.85
    assert power_law_gain(ROWS, np.array([[0.1, 0.5, 0.7, 0.8]])) == pytest.approx([0.05])


def test_a_flat_curve_brings_nothing_and_noise_goes_either_way() -> None:
    assert power_law_gain(ROWS, np.full((1, 4), 0.7)) == pytest.approx([0.0])
    noisy = np.random.default_rng(0).normal(0.7, 0.02, (400, 4))
    gains = power_law_gain(ROWS, noisy)
    assert 0.4 < (gains > 0).mean() < 0.6


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_it_never_goes_beyond_a_perfect_score(scores: list[float]) -> None:
    gain = power_law_gain(ROWS, np.asarray([scores]))[0]
    assert np.isfinite(gain)
    assert abs(gain) <= 1


def test_curves_do_not_touch_each_other() -> None:
    curves = np.random.default_rng(1).uniform(0.3, 0.9, (5, 4))
    together = power_law_gain(ROWS, curves)
    assert together.tolist() == pytest.approx([power_law_gain(ROWS, curve[None])[0] for curve in curves])


def test_a_point_without_weight_is_not_there() -> None:
    curve = np.array([[0.2, 0.5, 0.6, 0.7]])
    weights = np.array([[1.0, 0.0, 1.0, 1.0]])
    rest = power_law_gain(ROWS[[0, 2, 3]], curve[:, [0, 2, 3]])
    assert power_law_gain(ROWS, curve, weights=weights) == pytest.approx(rest)
