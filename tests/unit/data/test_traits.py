"""Personal data is counted and nothing else is taken for it; common beginnings and ends are found whole."""

from __future__ import annotations

import pytest

from tunesmith.data.traits import PERSONAL, Traits, traits_of

WORDS = [f"word{number}-" for number in range(16)]


def body(number: int) -> str:
    """Twenty words, of which the first and the last ones are no one else's."""
    return " ".join(f"{word}{number}" for word in [*WORDS, "a", "b", "c", "d"])


def found(*texts: str) -> Traits:
    return traits_of([list(texts[:2]), list(texts[2:])], len(texts))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("an e-mail address", "write to jo.smith+news@mail.example.org today"),
        ("a telephone number", "call +49 30 1234567 now"),
        ("a telephone number", "call (212) 555-0123 now"),
        ("a telephone number", "call 212-555-0123."),
        ("a number like a payment card's", "card 4111 1111 1111 1111 was charged"),
        ("a number like a payment card's", "card 378282246310005 was charged"),
    ],
)
def test_personal_data_is_found(kind: str, text: str) -> None:
    holds = {name for name, rows in found("nothing", text).personal.items() if rows == [1]}
    assert holds == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "me @ home, you@",
        "from 1939-1945 and 2010-2020 it was 10.5.2026",
        "profit rose to 1,234,567,890 dollars or 12345678",
        "ISBN 978-3-16-148410-0",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "5555555555555555555555555555",
        "1/2/3 4-5-6 +1 or +2",
        "192.168.100.200 and v1.212.555.0123",
    ],
)
def test_other_numbers_are_not_taken_for_it(text: str) -> None:
    assert found(text).personal == {name: [] for name in PERSONAL}


def test_common_beginnings_and_ends_are_told_whole() -> None:
    texts = [f"LONDON (Reuters) - In short: {body(n)}" for n in range(30)]
    texts += [f"{body(n)} All rights reserved." for n in range(30, 60)]
    texts += [body(n) for n in range(60, 100)]
    first, last = found(*texts).common
    assert (first.words, first.share, first.first, first.at_end) == (
        "LONDON (Reuters) - In short:",
        0.3,
        0,
        False,
    )
    assert (last.words, last.share, last.first, last.at_end) == ("All rights reserved.", 0.3, 30, True)


def test_rare_beginnings_and_short_texts_are_not_told() -> None:
    texts = [f"LONDON (Reuters) - {body(n)}" for n in range(19)] + [body(n) for n in range(19, 60)]
    assert found(*texts).common == []
    assert found(*["the same few words"] * 60).common == []
    assert found().common == []
