"""A budget lets run what fits, and says of the rest what it would have taken."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.evaluation.test_rivals import topics
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.ngrams import linear_ngrams
from tunesmith.evaluation.rival import LeftOut, Rival
from tunesmith.evaluation.rivals import run_rivals
from tunesmith.evaluation.types import NotRun
from tunesmith.evaluation.untuned import UntunedBase, or_why_not


class Time:
    """A clock that only work moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, at: slice, seconds_each: float = 1.0) -> np.ndarray:
        """Take a second for each row."""
        self.now += seconds_each * (at.stop - at.start)
        return np.arange(at.start, at.stop)


def test_rows_come_in_order_and_are_told() -> None:
    time, told = Time(), list[tuple[int, int]]()
    found = Budget(1000, time).rows(700, time.work, lambda done, total: told.append((done, total)))
    assert found.tolist() == list(range(700))
    assert told[0] == (1, 700)
    assert told[-1] == (700, 700)


def test_what_would_take_far_too_long_stops_after_one_row() -> None:
    time = Time()
    with pytest.raises(LeftOut, match=r"about 16 min 39 s of the 59 s left \(`rival_seconds`\)"):
        Budget(60, time).rows(1000, time.work)
    assert time.now == 1


def test_what_would_take_a_little_too_long_stops_when_that_is_known() -> None:
    time = Time()
    with pytest.raises(LeftOut, match="would have taken about"):
        Budget(400, time).rows(1000, time.work)
    assert time.now == 1 + 8 + 64


def test_what_fits_runs_however_slow_it_begins() -> None:
    time = Time()
    found = Budget(100, time).rows(80, lambda at: time.work(at, 8.0 if at.start == 0 else 0.1))
    assert len(found) == 80


def test_nothing_is_begun_when_all_is_spent() -> None:
    def load() -> None:
        raise AssertionError("the base must not be loaded")

    train = topics({"sport": 20, "politics": 20})
    base = UntunedBase(load, 64, 512)  # type: ignore[arg-type]
    found = run_rivals(train, train, seed=0, base=base, budget=Budget(0.0))
    assert [each.name for each in found] == [
        "majority",
        "TF-IDF + LR",
        "n-grams",
        "probe",
        "zero-shot",
        "few-shot",
    ]
    reasons = {each.why for each in found if isinstance(each, NotRun)}
    assert reasons == {"nothing was left of the 0.0 s for rivals (`rival_seconds`)"}


def test_n_grams_are_left_out_by_what_a_piece_of_them_took() -> None:
    train = topics({"sport": 200, "politics": 200})
    ticks = iter(range(1000))
    with pytest.raises(LeftOut, match="would have taken about"):
        linear_ngrams(train, train, 0, Budget(20.0, lambda: float(next(ticks))))


def test_a_rival_that_fails_does_not_take_the_report_with_it() -> None:
    def runs_out() -> Rival:
        raise MemoryError

    def no_numbers() -> Rival:
        return Rival("probe", "", np.full((1, 2), np.nan), 0.0, 0.0)

    assert or_why_not("probe", runs_out) == NotRun("probe", "memory ran out")
    assert or_why_not("probe", no_numbers) == NotRun("probe", "its answers were no finite numbers")
