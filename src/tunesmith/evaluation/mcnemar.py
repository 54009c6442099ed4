"""McNemar's test: do two methods part on more rows than chance would part them on?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.evaluation.types import Bools, McNemar

__all__ = ["holm", "mcnemar"]

_FEW = 25
"""With fewer rows that part the two, the binomial is computed exactly"""


def mcnemar(this: Bools, other: Bools) -> McNemar:
    """Compare which rows (rows,) two methods answered rightly.

    Exact binomial below 25 rows on which they part, else chi-square with continuity correction (Edwards).
    Source: McNemar, Note on the sampling error of the difference between correlated proportions, 1947.
    """
    only_this, only_other = int((this & ~other).sum()), int((other & ~this).sum())
    if only_this + only_other < _FEW:
        return McNemar(only_this, only_other, _binomial(only_this, only_other), "exact")
    return McNemar(only_this, only_other, _chi_square(only_this, only_other), "chi-square")


def _binomial(one: int, other: int) -> float:
    rows = one + other
    tail = sum(math.comb(rows, count) for count in range(min(one, other) + 1))
    return min(1.0, float(2 * tail / 2**rows))


def _chi_square(one: int, other: int) -> float:
    squared = max(0, abs(one - other) - 1) ** 2 / (one + other)
    # the upper tail of chi-square with one degree of freedom
    return math.erfc(math.sqrt(squared / 2))


def holm(probabilities: Sequence[float]) -> list[float]:
    """p-values of several tests, raised so that together they err no more often than one.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    raised, highest = [0.0] * len(probabilities), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * probabilities[index]))
        raised[index] = highest
    return raised
