"""What can go wrong, and how it is told.

A fault is a `Problem`; a `UserError` carries one or more of them::

    UserError                 the user's fault, told without a traceback (exit 1)
    ├── ConfigError           task.yaml or recipe.yaml does not say what it should
    ├── DataError             the data cannot be read or learned from
    ├── BaseError             the base model cannot be found or cannot be used
    ├── StorageError          a path exists, is missing, is full or is forbidden
    │   └── BundleError       a model directory is damaged or of another version
    ├── ResumeError           there is nothing to resume, or something else changed
    ├── ServiceError          the server cannot start
    ├── ExportError           a model cannot be exported, or its export answers otherwise
    ├── ProcessError          another process of the run ended or does not answer
    └── GateError             the check or the bar failed (exit 3)

Our own bugs are assertions and keep their traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = [
    "BaseError",
    "BundleError",
    "ConfigError",
    "DataError",
    "ExportError",
    "GateError",
    "Problem",
    "ProcessError",
    "ResumeError",
    "ServiceError",
    "Severity",
    "StorageError",
    "UserError",
    "problem_lines",
]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and how to mend it.

    `code` is a heading of docs/errors.md; `count` is how many rows share the problem.
    """

    code: str
    what: str
    where: str
    fix: str
    severity: Severity = "error"
    count: int = 1

    def __str__(self) -> str:
        return "\n".join(problem_lines(self))


def problem_lines(problem: Problem) -> list[str]:
    """The three lines in which a problem is shown everywhere."""
    return [
        f"{problem.severity}[{problem.code}]: {problem.what}",
        f"  where: {problem.where}",
        f"  fix:   {problem.fix}",
    ]


class UserError(Exception):
    """A fault of the user's, with every problem found, the most frequent first."""

    exit_code: ClassVar[int] = 1
    agreed: bool = False
    """Whether all processes of a run raise it; then the main one tells it for all."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        found = [problems] if isinstance(problems, Problem) else list(problems)
        assert found, "a UserError needs at least one problem"
        self.problems: tuple[Problem, ...] = tuple(sorted(found, key=lambda p: -p.count))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(UserError):
    """task.yaml or recipe.yaml does not say what it should."""


class DataError(UserError):
    """The data cannot be read, or nothing can be learned from it."""


class BaseError(UserError):
    """The base model cannot be found or cannot be used."""


class StorageError(UserError):
    """A path exists, is missing, is full or is forbidden."""


class BundleError(StorageError):
    """A model directory is damaged, incomplete or of another version."""


class ResumeError(UserError):
    """There is nothing to resume, or the data or recipe changed since."""


class ServiceError(UserError):
    """The server cannot start."""


class ExportError(UserError):
    """A model cannot be exported, or its export answers otherwise."""


class ProcessError(UserError):
    """Another process of the run ended or does not answer."""


class GateError(UserError):
    """The data check or the bar for quality failed."""

    exit_code: ClassVar[int] = 3
