"""Intervals of shares and of their differences in closed form, which hold for few rows and for shares near 1.

Sources: Wilson, Probable Inference, 1927; Newcombe, Interval Estimation for the Difference Between
Independent Proportions, 1998, method 10.
"""

from __future__ import annotations

import math

from tunesmith.evaluation.metrics import wilson
from tunesmith.evaluation.understanding.types import Span

__all__ = ["share", "share_difference"]


def share(hits: int, rows: int, *, level: float = 0.95) -> Span:
    """The share of `hits` among `rows`, at least one, with its Wilson interval."""
    found = hits / rows
    interval = wilson(found, rows, _z(level))
    # rounding must not leave the share outside of its own interval
    return Span(found, min(found, interval.low), max(found, interval.high))


def share_difference(hits: int, rows: int, other_hits: int, other_rows: int, *, level: float = 0.95) -> Span:
    """The first share minus the second, of other rows, with Newcombe's interval."""
    one, other = share(hits, rows, level=level), share(other_hits, other_rows, level=level)
    difference = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Span(difference, difference - below, difference + above)


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))
