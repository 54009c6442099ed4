from __future__ import annotations

from dataclasses import dataclass

import pytest

from tunesmith.evaluation.examples import Chosen, as_read, chosen_rows, first_of_each


def test_no_row_is_shown_twice_and_few_rows_are_shared_out() -> None:
    worst = list(range(9))
    found = chosen_rows(worst, worst[::-1], each=2, seed=0)
    assert list(found.values()) == ["random"] * 2 + ["worst"] * 2 + ["best"] * 2
    left = [row for row in worst if found.get(row) != "random"]
    assert [row for row, chosen in found.items() if chosen == "worst"] == left[:2]
    assert [row for row, chosen in found.items() if chosen == "best"] == left[::-1][:2]
    assert chosen_rows(worst, worst[::-1], each=2, seed=0) == found
    assert len(chosen_rows(worst, worst[::-1], each=99, seed=0)) == 9
    assert list(chosen_rows([0], [0], each=4, seed=0).values()) == ["random"]


@dataclass(frozen=True)
class _Example:
    chosen: Chosen
    number: int


def test_the_first_of_each_sort_is_told_in_one_order() -> None:
    examples = [_Example("best", 0), _Example("worst", 1), _Example("worst", 2), _Example("random", 3)]
    assert [each.number for each in first_of_each(examples)] == [3, 1, 0]
    assert [each.number for each in first_of_each(examples[:3])] == [1, 0]


@pytest.mark.parametrize(
    ("messages", "read"),
    [
        ([("user", "Hello")], "Hello"),
        ([("user", None)], ""),
        ([("assistant", "Hello")], "assistant: Hello"),
        (
            [("system", "Be brief"), ("user", "Hello"), ("assistant", None)],
            "system: Be brief\nuser: Hello\nassistant: ",
        ),
        ([], ""),
    ],
)
def test_who_says_what_is_told_where_it_is_more_than_one_message(
    messages: list[tuple[str, str | None]], read: str
) -> None:
    assert as_read([{"role": role, "content": content} for role, content in messages], "user") == read
