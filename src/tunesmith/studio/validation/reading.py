"""One file of a job, read through: its examples are surveyed, and each line that is none is told."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import IO

from tunesmith.data.cells import CellError
from tunesmith.studio.validation.forms import Form, faults_of, form_of
from tunesmith.studio.validation.lines import Values, lines, values_of
from tunesmith.studio.validation.survey import Survey

__all__ = ["Fault", "Reading", "examples_of", "first_form", "read_through"]

_SHOWN_FAULTS = 20
_SPOOL_BYTES = 1 << 20
_ASKED_EVERY = 256
_SHOWN_A_LINE = 10
# whoever sends so many will not read them all, and could keep a worker busy for a day
_MOST_FAULTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one line; the code is a heading of docs/errors.md."""

    line: int
    code: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.message} [{self.code}]"


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(_SPOOL_BYTES)


@dataclass(slots=True)
class Reading:
    """What was found in a file. `listed` holds the faults as JSON Lines, on disk where they are many.

    Of a line it holds the first ten. Reading ends at the millionth fault.
    """

    survey: Survey = field(default_factory=Survey)
    form: Form | None = None
    bad_lines: int = 0
    faults: int = 0
    first: list[Fault] = field(default_factory=list)
    listed: IO[bytes] = field(default_factory=_spool)

    @property
    def many(self) -> bool:
        """Whether there are more faults than `first` holds."""
        return self.faults > len(self.first)

    def add(self, line: int, errors: list[CellError]) -> None:
        """Note the faults of a line."""
        self.bad_lines += 1
        self.faults += len(errors)
        for error in errors[:_SHOWN_A_LINE]:
            fault = Fault(line, error.code, error.what, error.fix)
            if len(self.first) < _SHOWN_FAULTS:
                self.first.append(fault)
            self.listed.write(json.dumps(asdict(fault), ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Let go of the list."""
        self.listed.close()


def read_through(
    stream: IO[bytes],
    most_line_bytes: int,
    *,
    form: Form | None = None,
    preferences: bool = False,
    go_on: Callable[[], None] = lambda: None,
    on_example: Callable[[int, Values], None] = lambda _number, _values: None,
) -> Reading:
    """Read a file to its end, whatever stands in it; `go_on` is called now and then, and may raise.

    `on_example` hears of each example, with the number of its line.

    All lines must be of `form`, or where that is None of that of the first; `preferences` says that only
    preferences are wanted, or none.
    """
    found = Reading(form=form)
    try:
        for number, line in lines(stream, most_line_bytes):
            if number % _ASKED_EVERY == 0:
                go_on()
            if line is None or line.strip():
                values = _read_line(found, number, line, preferences)
                if values is not None:
                    on_example(number, values)
            if found.faults >= _MOST_FAULTS:
                break
    except BaseException:
        found.close()
        raise
    return found


def _read_line(found: Reading, number: int, line: bytes | None, preferences: bool) -> Values | None:
    """Note what a line is; the example that it holds, where it is one."""
    try:
        values = values_of(line)
        found.form = _same_form(values, found.form, preferences)
        errors = faults_of(values, found.form)
    except CellError as error:
        found.add(number, [error])
        return None
    if errors:
        found.add(number, errors)
        return None
    if found.form == "preference":
        found.survey.examples += 1
    else:
        found.survey.add(values)
    return values


def _same_form(values: Values, form: Form | None, preferences: bool) -> Form:
    """The form of a line, where it is that of all others."""
    own = form_of(values)
    if own is None or (own == "preference") != preferences:
        wanted = "`input`, `preferred_output` and `non_preferred_output`" if preferences else "`messages`"
        what = f"the line is no example: it has no {wanted}"
        raise CellError("not-an-example", what, "write it in the form that the method asks for")
    if form is not None and own != form:
        what = f"the line is of the form {own!r}, and those before it are {form!r}"
        raise CellError("mixed-forms", what, "write all lines in one form")
    return own


def first_form(stream: IO[bytes], most_line_bytes: int) -> Form | None:
    """The form of the first line that has one."""
    for _, line in lines(stream, most_line_bytes):
        with suppress(CellError):
            if form := form_of(values_of(line)):
                return form
    return None


def examples_of(stream: IO[bytes], most_line_bytes: int) -> Iterator[Values | None]:
    """What each line of a file that was found good holds; None for one that is empty."""
    for _, line in lines(stream, most_line_bytes):
        yield values_of(line) if line is not None and line.strip() else None
