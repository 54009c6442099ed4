"""Power laws through learning curves: score = top - loss * rows ** -rate."""

from __future__ import annotations

import numpy as np

from tunesmith.evaluation.types import Bools, Floats

__all__ = ["FEWEST_POINTS", "power_law_gain"]

FEWEST_POINTS = 3
"""A power law has three parameters"""
# a rate of 0 would be no law but a logarithm that never ends; above 2 the curve is as good as flat
_RATES = np.linspace(0.1, 2.0, 39)
_BOUNDS = (0.0, 1.0)


def power_law_gain(
    rows: Floats, scores: Floats, *, weights: Floats | None = None, factor: float = 2.0
) -> Floats:
    """What `factor` times the most rows would add, (curves,); rows (points,), scores (curves, points).

    Least squares, by `weights` (curves, points) where they are given, with the top between 0 and 1 and the
    rate between 0.1 and 2. The loss may have either sign: in a curve that is flat but for noise, the gain is
    then as often below 0 as above. For each rate the best top and loss are known in closed form, so that the
    rates can be tried one by one.
    Source: Hestness and others, Deep Learning Scaling is Predictable, Empirically, 2017.
    """
    assert len(rows) >= FEWEST_POINTS, "a power law needs three points"
    share = rows / rows.max()
    shared = np.ones(scores.shape) if weights is None else weights
    weight = shared / shared.sum(axis=1, keepdims=True)
    found = (_at_rate(share**-rate, scores, weight, factor**-rate) for rate in _RATES)
    errors, gains = (np.stack(each) for each in zip(*found, strict=True))
    return np.asarray(gains[np.argmin(errors, axis=0), np.arange(len(scores))])


def _at_rate(falling: Floats, scores: Floats, weight: Floats, further: float) -> tuple[Floats, Floats]:
    """The squared error and the gain of the best line in `falling` (points,), each (curves,)."""
    middle = weight @ falling
    apart = weight * (falling - middle[:, None])
    loss = -(apart * scores).sum(axis=1) / (apart * falling).sum(axis=1)
    top = (weight * scores).sum(axis=1) + loss * middle
    allowed = (top >= _BOUNDS[0]) & (top <= _BOUNDS[1])
    found = [_judged(top, loss, falling, scores, weight, allowed)]
    for bound in _BOUNDS:
        at_bound = (weight * (bound - scores) * falling).sum(axis=1) / (weight @ falling**2)
        at_top = np.full(len(scores), bound)
        found.append(_judged(at_top, at_bound, falling, scores, weight, ~allowed))
    errors, losses = (np.stack(each) for each in zip(*found, strict=True))
    best = np.argmin(errors, axis=0), np.arange(len(scores))
    return errors[best], losses[best] * (1 - further)


def _judged(
    top: Floats, loss: Floats, falling: Floats, scores: Floats, weight: Floats, allowed: Bools
) -> tuple[Floats, Floats]:
    left = scores - (top[:, None] - loss[:, None] * falling)
    return np.where(allowed, (weight * np.square(left)).sum(axis=1), np.inf), loss
