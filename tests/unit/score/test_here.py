from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tunesmith.score.here import ahead


def test_the_same_items_in_their_order() -> None:
    assert list(ahead(iter([]))) == []
    assert list(ahead(iter([0, "", None]))) == [0, "", None]


def test_the_next_item_is_made_while_the_last_one_is_used_and_no_more() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    read = ahead(items())
    assert next(read) == 0
    assert second.wait(60), "the second item is not made until it is asked for"
    assert next(read) == 1
    assert len(made) <= 3
    assert list(read) == [2, 3, 4]


def test_a_fault_of_the_reader_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second row")

    read = ahead(items())
    assert next(read) == 1
    with pytest.raises(ValueError, match="the second row"):
        next(read)


def test_a_reader_that_is_left_ends() -> None:
    before = threading.active_count()
    read = ahead(iter(range(100)))
    next(read)
    read.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
