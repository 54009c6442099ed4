"""What a file is told to be before a job is made: its form, its counts, its lengths, its faults."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.studio import chat_line, classes, talks
from tunesmith.studio.file_check import FileCheck, Lengths, check_file


def check(*rows: Any, **options: Any) -> FileCheck:
    content = b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)
    given = {"most_line_bytes": 1 << 20, "most_bytes": 1 << 20, **options}
    return check_file(lambda: io.BytesIO(content), **given)


def pair() -> dict[str, Any]:
    good, bad = ([{"role": "assistant", "content": said}] for said in ("yes", "no"))
    asked = {"messages": [{"role": "user", "content": "well?"}]}
    return {"input": asked, "preferred_output": good, "non_preferred_output": bad}


@pytest.mark.parametrize(
    ("rows", "teaches", "labels"),
    [
        (classes(20), "labels", (("politics", 10), ("sports", 10))),
        (talks(20), "answers", ()),
        ([pair()] * 12, "preferences", ()),
        ([b"nothing\n"], None, ()),
        ([], None, ()),
    ],
)
def test_what_it_teaches(rows: list[Any], teaches: str | None, labels: tuple[Any, ...]) -> None:
    found = check(*rows)
    assert (found.teaches, found.labels) == (teaches, labels)
    assert found.examples == (0 if teaches is None else len(rows))


def test_lengths_are_those_of_what_is_said_and_name_the_longest_line() -> None:
    rows = [chat_line("a", "b"), b"bad\n", chat_line("a" * 50, "b"), chat_line("ab", "c")]
    count: Callable[..., Any] = lambda texts: [text.count("a") for text in texts]  # noqa: E731
    found = check(*rows, count=count)
    assert found.characters == Lengths(4.0, 52, 3, 3)
    assert found.tokens == Lengths(1.0, 50, 3, 3)
    assert [(fault.line, fault.code) for fault in found.first] == [(2, "bad-json")]


def test_a_large_file_is_read_in_part_and_by_whole_lines() -> None:
    rows = talks(100)
    first = len(json.dumps(rows[0])) + 1
    found = check(*rows, most_bytes=first + 1)
    assert (found.examples, found.faults, found.whole) == (2, 0, False)
    assert check(*rows, most_bytes=100 * (first + 10)).whole


def test_whoever_stops_is_heard_at_each_line() -> None:
    heard = 0

    def go_on() -> None:
        nonlocal heard
        heard += 1
        if heard == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        check(*talks(100), go_on=go_on)
