"""Numbers and texts as people read them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation.types import Interval, LabelScore
from tunesmith.evaluation.wording import (
    clip,
    columns,
    duration,
    listed,
    memory,
    milliseconds,
    plain,
    signed,
    weakest,
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (59.7, "1 min 00 s"),
        (214, "3 min 34 s"),
        (3599.8, "1 h 00 min"),
        (7_500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "< 0.01"), (0.31, "0.31"), (3.44, "3.4"), (120.4, "120"), (2345.0, "2,345")]
)
def test_milliseconds(value: float, said: str) -> None:
    assert milliseconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.0214, "+0.021"), (-0.0214, "−0.021"), (0.0004, "0.000"), (-0.0004, "0.000")]
)
def test_what_rounds_to_zero_has_no_sign(value: float, said: str) -> None:
    assert signed(value) == said


@pytest.mark.parametrize(
    ("names", "said"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(names: list[str], said: str) -> None:
    assert listed(names) == said


def test_nothing_that_steers_a_terminal_is_left() -> None:
    assert plain("a\x1b[31mred\x07\r\n b\u202egnp.exe\u0000") == "a [31mred b gnp.exe"
    assert plain("👩\u200d🚀 ok") == "👩\u200d🚀 ok"


@given(text=st.text(max_size=400), width=st.integers(1, 60))
def test_clipped_texts_fit(text: str, width: int) -> None:
    shown = clip(text, width)
    assert columns(shown) <= width
    assert not any(unicodedata.category(character) == "Cc" for character in shown)
    if columns(plain(text)) <= width:
        assert shown == plain(text)
    else:
        assert shown.endswith("…")


def test_a_book_is_clipped_without_being_read() -> None:
    assert clip("word " * 5_000_000, 12) == "word word w…"


def test_the_weakest_labels_come_first_and_unknown_ones_last() -> None:
    scores = tuple(
        LabelScore(name, rows, rows, f1, f1, f1, Interval(0, 1))
        for name, rows, f1 in (("good", 5, 0.9), ("gone", 0, 0.0), ("bad", 2, 0.0), ("bad and big", 9, 0.0))
    )
    assert [found.label for found in weakest(scores)] == ["bad and big", "bad", "good", "gone"]


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 MiB"), (300 << 20, "300 MiB"), (1 << 30, "1.0 GiB"), (5_000 << 30, "5,000.0 GiB")],
)
def test_memory(count: int, said: str) -> None:
    assert memory(count) == said
