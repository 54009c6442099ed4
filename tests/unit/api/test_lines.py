"""However a body is cut into chunks, its lines are the same."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.api.lines import Line, Lines


def lines_of(chunks: list[bytes], max_bytes: int = 1000) -> list[Line]:
    lines = Lines(max_bytes)
    return [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.end())


@given(st.text("ab \r\n", max_size=60).map(str.encode), st.lists(st.integers(0, 60), max_size=6))
def test_the_cuts_do_not_matter(body: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    expected = [Line(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    assert lines_of([body[start:end] for start, end in pairwise(places)]) == expected


def test_a_line_that_is_too_long_is_told_and_the_next_is_read() -> None:
    chunks = [b"x" * 3, b"x" * 3, b"\nshort\n", b"y" * 6, b"\n12345\n", b"z" * 9]
    found = lines_of(chunks, max_bytes=5)
    assert found == [Line(1, None), Line(2, b"short"), Line(3, None), Line(4, b"12345"), Line(5, None)]
