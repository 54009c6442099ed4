"""What a training file is, before a job is made: its examples, their form and lengths, and its faults."""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Literal, cast

from tunesmith.studio.validation.forms import said_in
from tunesmith.studio.validation.lines import Values
from tunesmith.studio.validation.reading import Fault, Reading, first_form, read_through
from tunesmith.studio.validation.survey import labels_taught

__all__ = ["Count", "FileCheck", "Lengths", "Teaches", "check_file"]

Teaches = Literal["labels", "answers", "preferences"]
"""What a model learns: to give one of a few labels, to answer, or which of two answers is better."""
Count = Callable[[Sequence[str]], list[int]]
"""Texts -> how many tokens each has."""

_MOST_COUNTED = 2_000


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long examples are, all that is said in one taken together."""

    median: float
    longest: int
    longest_line: int
    counted: int
    """Of how many examples that is"""


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What was found in a file, or in its beginning."""

    teaches: Teaches | None
    """None where no line is an example"""
    examples: int
    labels: tuple[tuple[str, int], ...]
    """Each label and its examples, the most frequent first"""
    characters: Lengths | None
    tokens: Lengths | None
    bad_lines: int
    faults: int
    first: tuple[Fault, ...]
    whole: bool
    """Whether the file was read to its end"""


def check_file(
    open_file: Callable[[], IO[bytes]],
    *,
    most_line_bytes: int,
    most_bytes: int,
    count: Count | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> FileCheck:
    """Read as many whole lines as have `most_bytes`; `go_on` is called for each line, and may raise.

    The form of the first line that has one decides what the others must be. Tokens are counted of the first
    2,000 examples, where there is `count`.
    """
    with open_file() as stream:
        head = _Head(stream, most_bytes, go_on)
        preferences = first_form(cast("IO[bytes]", head), most_line_bytes) == "preference"
    gathered = _Gathered()
    with open_file() as stream:
        head = _Head(stream, most_bytes, go_on)
        reading = read_through(
            cast("IO[bytes]", head), most_line_bytes, preferences=preferences, on_example=gathered.add
        )
    reading.close()
    return _found(reading, gathered, count, whole=head.whole)


def _found(reading: Reading, gathered: _Gathered, count: Count | None, *, whole: bool) -> FileCheck:
    survey = reading.survey
    labels = labels_taught(survey, None)
    answers = survey.answers if labels and survey.answers else {}
    teaches: Teaches = "labels" if labels else "preferences" if reading.form == "preference" else "answers"
    return FileCheck(
        teaches=teaches if survey.examples else None,
        examples=survey.examples,
        labels=tuple(sorted(answers.items(), key=lambda each: (-each[1], each[0]))),
        characters=_lengths(gathered.characters, gathered.numbers),
        tokens=None if count is None else _lengths(count(gathered.texts), gathered.numbers),
        bad_lines=reading.bad_lines,
        faults=reading.faults,
        first=tuple(reading.first),
        whole=whole,
    )


class _Gathered:
    """The lengths of all examples, and the words of the first ones."""

    def __init__(self) -> None:
        self.numbers, self.characters = array("Q"), array("Q")
        self.texts: list[str] = []

    def add(self, number: int, values: Values) -> None:
        said = "\n".join(said_in(values))
        self.numbers.append(number)
        self.characters.append(len(said))
        if len(self.texts) < _MOST_COUNTED:
            self.texts.append(said)


def _lengths(counts: Sequence[int], numbers: Sequence[int]) -> Lengths | None:
    if not counts:
        return None
    at = max(range(len(counts)), key=counts.__getitem__)
    return Lengths(float(statistics.median(counts)), counts[at], numbers[at], len(counts))


class _Head:
    """The first lines of a stream; the last of them ends behind `most_bytes`, if it does."""

    def __init__(self, stream: IO[bytes], most_bytes: int, go_on: Callable[[], None]) -> None:
        self._stream, self._left, self._go_on = stream, most_bytes, go_on
        self._inside = False
        self.whole = True

    def readline(self, size: int) -> bytes:
        """A line, or a part of one; nothing at the end."""
        self._go_on()
        if self._left <= 0 and not self._inside:
            self.whole = not self._stream.read(1)
            return b""
        found = self._stream.readline(size)
        self._left -= len(found)
        self._inside = bool(found) and not found.endswith(b"\n")
        return found
