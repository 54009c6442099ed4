"""Problems that many rows share, told once with their first place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tunesmith.errors import DataError, Problem, Severity

__all__ = ["ReadLog", "excerpt", "grouped", "refuse", "shown", "shown_target"]

_SHOWN_CHARS, _EXCERPT_CHARS = 60, 300
# what a lenient reader may go on after: the row is replaced or left out
_FORGIVABLE = frozenset(
    {
        *("bad-cell", "bad-content", "bad-encoding", "bad-json", "bad-messages", "bad-weight", "not-text"),
        *("ragged-row", "several-labels", "tool-calls", "unclosed-quote", "unknown-role"),
        # of preferences
        *("empty-completion", "equal-answers", "no-answer", "not-an-answer"),
    }
)


def shown(value: str) -> str:
    """A value in quotes as messages show it: escaped, and cut where it is long."""
    return repr(_cut(value, _SHOWN_CHARS))


def excerpt(text: str) -> str:
    """The text in one line, cut where it is long."""
    return _cut(" ".join(text.split()), _EXCERPT_CHARS)


def _cut(value: str, most: int) -> str:
    return value if len(value) <= most else value[: most - 1] + "…"


def shown_target(target: str | tuple[str, ...] | None) -> str:
    """A label, or all labels of a text, as messages show them."""
    match target:
        case str():
            return shown(target)
        case None | ():
            return "without a label"
        case _:
            return shown(", ".join(target))


def grouped(
    code: str,
    what: str,
    where: str,
    fix: str,
    *,
    column: str | None = None,
    severity: Severity = "error",
    count: int = 1,
) -> Problem:
    """One problem of `count` rows, of which the first stands at `where`."""
    place = where if column is None else f'{where}, column "{column}"'
    match count - 1:
        case 0:
            more = ""
        case 1:
            more = " (and 1 more row)"
        case others:
            more = f" (and {others:,} more rows)"
    return Problem(code, what, place + more, fix, severity, count)


def refuse(code: str, what: str, where: str | Path, fix: str) -> DataError:
    """The error with which reading stops."""
    return DataError(Problem(code, what, str(where), fix))


class ReadLog:
    """What reading takes for granted (`notes`) and finds wrong (`problems`), in memory that rows do not grow.

    `strict` stops at the first fault instead; `lenient` makes warnings of what can be replaced or left out.
    """

    def __init__(self, *, strict: bool = False, lenient: bool = False) -> None:
        assert not (strict and lenient), "a reader is strict or lenient, not both"
        self.notes: list[str] = []
        self.lenient = lenient
        self._strict = strict
        self._first: dict[str, tuple[str, str, str, Severity]] = {}
        self._counts: dict[str, int] = {}
        self._file: IO[bytes] | None = None

    def watch(self, file: IO[bytes]) -> None:
        """Note the file that is being read, as it lies on the disk."""
        self._file = file

    @property
    def bytes_read(self) -> int | None:
        """How far into its file reading has come; None where there is no open file."""
        return None if self._file is None or self._file.closed else self._file.tell()

    def fault(self, code: str, what: str, where: str, fix: str, severity: Severity = "error") -> None:
        """Note one row's fault; raise DataError where the log is strict."""
        if self.lenient and code in _FORGIVABLE:
            severity = "warning"
        if self._strict and severity == "error":
            raise refuse(code, what, where, fix)
        self._first.setdefault(code, (what, where, fix, severity))
        self._counts[code] = self._counts.get(code, 0) + 1

    def to_dict(self) -> dict[str, object]:
        """What was noted so far, as plain values for JSON."""
        return {"notes": self.notes, "first": self._first, "counts": self._counts}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go back to what `to_dict` told."""
        self.notes = list(values["notes"])
        self._first = {code: tuple(fault) for code, fault in values["first"].items()}
        self._counts = dict(values["counts"])

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every kind of fault with its first place and its count, the most frequent first."""
        found = [
            grouped(code, what, where, fix, severity=severity, count=self._counts[code])
            for code, (what, where, fix, severity) in self._first.items()
        ]
        return tuple(sorted(found, key=lambda problem: -problem.count))
