"""Times of all usual forms become numbers in their order."""

from __future__ import annotations

import pytest

from tunesmith.data.dataset import dataset_of
from tunesmith.data.times import seconds_of
from tunesmith.errors import DataError
from tunesmith.task import Task


def seconds(*cells: str) -> list[float]:
    dataset = dataset_of(Task(labels=("a", "b")), ["x"] * len(cells), ["a"] * len(cells))
    found: list[float] = seconds_of(list(cells), dataset, "when").tolist()
    return found


def test_numbers_are_taken_as_they_are() -> None:
    assert seconds("2001", "1999", "2000.5") == [2001, 1999, 2000.5]


@pytest.mark.parametrize(
    "cells",
    [
        ("1987-02-26", "1987-02-27T01:00", "1987-02-27 01:00:01+00:00", "1987-02-27T00:30:00-01:00"),
        ("26-FEB-1987 15:01:01.79", "26-FEB-1987 15:01:02.00", "27-Feb-1987"),
        ("Thu, 26 Feb 1987 15:01:01 GMT", "Thu, 26 Feb 1987 17:01:01 +0100", "1987-03-01"),
        ("February 3, 1987", "4 Feb 1987", "1987-02-05"),
    ],
)
def test_dates_ascend(cells: tuple[str, ...]) -> None:
    found = seconds(*cells)
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_without_a_zone_a_time_is_utc() -> None:
    assert seconds("1970-01-02") == [86400]


@pytest.mark.parametrize("cell", ["yesterday", "", "(empty)", "nan", "03/04/1987"])
def test_what_says_no_time_is_refused_with_its_place(cell: str) -> None:
    with pytest.raises(DataError) as caught:
        seconds("1987-02-26", cell, cell)
    (problem,) = caught.value.problems
    assert problem.code == "bad-time"
    assert problem.where == 'memory:2, column "when" (and 1 more row)'
