"""McNemar and Holm, held to numbers that can be worked out by hand and to scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation.mcnemar import holm, mcnemar
from tunesmith.evaluation.types import Bools, McNemar


def _rows(only_this: int, only_other: int, both: int = 7, neither: int = 3) -> tuple[Bools, Bools]:
    this = [True] * only_this + [False] * only_other + [True] * both + [False] * neither
    other = [False] * only_this + [True] * only_other + [True] * both + [False] * neither
    return np.asarray(this), np.asarray(other)


def test_few_rows_are_counted_exactly() -> None:
    # 2 * (C(10,0) + C(10,1) + C(10,2)) / 2^10 = 2 * 56 / 1024
    assert mcnemar(*_rows(8, 2)) == McNemar(8, 2, 112 / 1024, "exact")
    assert mcnemar(*_rows(5, 0)).p == 2 / 32


def test_what_does_not_part_may_be_chance() -> None:
    assert mcnemar(*_rows(0, 0)) == McNemar(0, 0, 1.0, "exact")
    assert mcnemar(*_rows(4, 4)).p == 1.0
    assert mcnemar(*_rows(20, 20)).p == 1.0


def test_many_rows_go_by_chi_square_with_continuity_correction() -> None:
    found = mcnemar(*_rows(40, 20))
    # (|40 - 20| - 1)^2 / 60 = 6.0167; P(chi2 > 6.0167) with one degree of freedom
    assert found.test == "chi-square"
    assert found.p == pytest.approx(0.014171, abs=1e-6)
    assert mcnemar(*_rows(24, 0)).test == "exact"
    assert mcnemar(*_rows(25, 0)).test == "chi-square"


@given(st.integers(0, 60), st.integers(0, 60))
def test_it_is_that_of_scipy_and_the_same_from_either_side(one: int, other: int) -> None:
    from scipy.stats import binomtest, chi2

    found, turned = mcnemar(*_rows(one, other)), mcnemar(*_rows(other, one))
    assert found.p == turned.p
    assert 0 <= found.p <= 1
    if found.test == "exact":
        expected = binomtest(one, one + other).pvalue if one + other else 1.0
    else:
        expected = chi2.sf(max(0, abs(one - other) - 1) ** 2 / (one + other), 1)
    assert found.p == pytest.approx(expected)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_only_raises_and_keeps_the_order(found: list[float]) -> None:
    raised = holm(found)
    assert all(before <= after <= 1 for before, after in zip(found, raised, strict=True))
    order = sorted(range(len(found)), key=found.__getitem__)
    assert [raised[index] for index in order] == sorted(raised)
