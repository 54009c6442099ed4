"""Comparison and what it is made of: plain frozen values that travel to terminal, JSON and page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from tunesmith.evaluation.types import Difference, Interval, McNemar
from tunesmith.task import Kind

__all__ = ["ApartRow", "ComparedLabel", "ComparedRun", "Comparison", "RunCost"]


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run's model costs; None where it is not known."""

    train_seconds: float | None
    milliseconds_per_text: float | None
    model_bytes: int | None


@dataclass(frozen=True, slots=True)
class ComparedLabel:
    """The F1 of one label, and by how much it is higher than the first run's."""

    label: str
    rows: int
    f1: float
    f1_interval: Interval
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class ApartRow:
    """A test row that only one of two runs answers rightly, with the answer of each."""

    where: str
    truth: str
    first: str
    other: str


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run, and how it differs from the first one; what compares is empty for the first itself.

    `differences` (metric -> this run minus the first) are paired. `p` is that of `mcnemar`, raised by Holm's
    method where several runs are compared with the first. On `apart` rows the two answer differently;
    `examples` are some of those that only one has right. `recipe` has the settings in which the runs differ.
    """

    name: str
    path: str
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    per_label: tuple[ComparedLabel, ...]
    cost: RunCost
    recipe: dict[str, str]
    left_out: int
    differences: dict[str, Difference]
    mcnemar: McNemar | None = None
    p: float | None = None
    apart: int = 0
    examples: tuple[ApartRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs on the same test rows, each beside the first; `sentences` say what is sure."""

    kind: Kind
    labels: tuple[str, ...]
    rows: int
    lead: str
    beside: str
    runs: tuple[ComparedRun, ...]
    sentences: tuple[str, ...]
    how: str

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        values: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return values


@cache
def _adapter() -> TypeAdapter[Comparison]:
    return TypeAdapter(Comparison)
