from __future__ import annotations

import pytest

from tunesmith.errors import GateError, Problem, UserError

RARE = Problem("unknown-label", "'spam ' is not a label", "a.csv:118", "trim the value")
FREQUENT = Problem("empty-text", "the text is empty", "a.csv:3", "drop the row", "warning", count=9)


def test_a_problem_is_shown_in_three_lines() -> None:
    assert str(RARE).splitlines() == [
        "error[unknown-label]: 'spam ' is not a label",
        "  where: a.csv:118",
        "  fix:   trim the value",
    ]


def test_an_error_shows_all_problems_the_most_frequent_first() -> None:
    error = UserError([RARE, FREQUENT])
    assert error.problems == (FREQUENT, RARE)
    assert str(error) == f"{FREQUENT}\n{RARE}"


def test_an_error_without_a_problem_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        UserError([])


def test_exit_codes() -> None:
    assert (UserError(RARE).exit_code, GateError(RARE).exit_code) == (1, 3)
