"""Report and what it is made of: plain frozen values that travel to terminal, JSON, HTML and card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from tunesmith.errors import BundleError, Problem
from tunesmith.evaluation.generation.types import Writing
from tunesmith.evaluation.preference.types import Preference
from tunesmith.evaluation.understanding.types import Understanding
from tunesmith.task import Kind

__all__ = [
    "Bin",
    "Bools",
    "Calibration",
    "Cost",
    "CurvePoint",
    "Difference",
    "Floats",
    "Interval",
    "Ints",
    "LabelScore",
    "LearningCurve",
    "McNemar",
    "Mistake",
    "MixUp",
    "NotRun",
    "Report",
    "RivalScore",
    "Verdict",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """This model's score minus a rival's on the same rows, with its paired 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How one label did; `rows` have it in truth, `predicted` rows were given it.

    `threshold` is the probability from which on a multi-label model gives it.
    """

    label: str
    rows: int
    predicted: int
    precision: float
    recall: float
    f1: float
    f1_interval: Interval
    threshold: float | None = None
    precision_interval: Interval | None = None
    recall_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows whose highest probability lies in (low, high]; means are 0 where there are no rows.

    Of a multi-label model, the pairs of row and label whose probability lies there. `interval` is that of the
    accuracy.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether probabilities mean what they say: reliability bins, and two numbers that sum them up."""

    bins: tuple[Bin, ...]
    ece: float
    brier: float


@dataclass(frozen=True, slots=True)
class McNemar:
    """Rows that one of two methods answers rightly and the other not, and how likely chance parts them so.

    `p` is two-sided: that of McNemar's `test`, exact where there are few such rows.
    """

    only_this: int
    only_other: int
    p: float
    test: Literal["exact", "chi-square"]


@dataclass(frozen=True, slots=True)
class RivalScore:
    """A cheap method on the same test rows; `differences` (metric -> model minus rival) are paired.

    `mcnemar` goes by the rows that each answers wholly rightly.
    """

    name: str
    how: str
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    differences: dict[str, Difference]
    train_seconds: float
    milliseconds_per_text: float
    size_bytes: int | None = None
    """What it would take on disk, where that is known"""
    mcnemar: McNemar | None = None


@dataclass(frozen=True, slots=True)
class NotRun:
    """A cheap method that was not run, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test row answered wrongly; `probability` is what the wrong label was given.

    Of a multi-label model: which labels were `missed` and which `added`, and how sure it was of the worst of
    these decisions.
    """

    text: str
    where: str
    truth: str
    predicted: str
    probability: float
    missed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MixUp:
    """In `rows` test rows, a `share` of those with `truth`, it was missed and `predicted` given wrongly."""

    truth: str
    predicted: str
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the paired intervals say in plain words; `beats` names the rivals that are beaten."""

    headline: str
    sentences: tuple[str, ...]
    beats: tuple[str, ...]
    go: bool | None = None
    """Whether the task's bar is reached; None where it has none"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the model costs; `train_seconds` is None where it was not trained here."""

    train_seconds: float | None
    milliseconds_per_text: float
    peak_memory_bytes: int | None = None
    """The most that training held at once, on the GPU where there is one"""
    size_bytes: int | None = None
    """What the model and its tokenizer take on disk, where that is known"""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a model that learned from `rows` training rows scores, and TF-IDF + LR from the same rows."""

    rows: int
    macro_f1: float
    interval: Interval
    train_seconds: float
    rival_macro_f1: float
    rival_interval: Interval


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Macro-F1 by the number of training rows, on the same `judged_rows` rows of one part of the data.

    `gain` is what twice the training rows would add, by a power law through the points; `rival_gain` that of
    TF-IDF + LR; None where the points are too few for one. `says` tells it in a sentence.
    """

    measured_on: Literal["validation", "test"]
    judged_rows: int
    points: tuple[CurvePoint, ...]
    gain: Difference | None
    rival_gain: Difference | None
    says: str


@dataclass(frozen=True, slots=True)
class Report:
    """The proof: how a model did on test rows it has never seen, and against what.

    `confusion` is (labels, labels) with truth in rows, and empty for a multi-label task, which has `mix_ups`
    instead; `mistakes` are the most confident first; `curves` hold step, epoch, train_loss, validation_loss,
    macro_f1 or token_accuracy where they were measured. Of a model that writes, `writing` holds what there is
    besides, there is no calibration, and labels are those of targets that take few different values. Of one
    that gives labels, `understanding` says when to trust it and where it is weak.
    """

    labels: tuple[str, ...]
    rows: int
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    per_label: tuple[LabelScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration | None
    rivals: tuple[RivalScore, ...]
    mistakes: tuple[Mistake, ...]
    verdict: Verdict
    cost: Cost
    provenance: dict[str, str]
    curves: tuple[dict[str, int | float | None], ...]
    kind: Kind = "single_label"
    mix_ups: tuple[MixUp, ...] = ()
    writing: Writing | None = None
    understanding: Understanding | None = None
    not_run: tuple[NotRun, ...] = ()
    """Rivals that were left out"""
    preference: Preference | None = None
    """What there is besides of a model that learned from preferences"""
    learning_curve: LearningCurve | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values; `from_dict` gives back an equal report."""
        values: dict[str, Any] = _adapter().dump_python(self, mode="json")
        json.dumps(values, allow_nan=False)
        return values

    @classmethod
    def from_dict(cls, values: object, where: str = "report.json") -> Report:
        """The report that `to_dict` wrote; raise BundleError naming `where` if it is none."""
        try:
            return _adapter().validate_python(values)
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(str(part) for part in fault["loc"]) or "the whole"
            what = f"this is not an evaluation report: {key}: {fault['msg']}"
            fix = "evaluate the model again to write a new report"
            raise BundleError(Problem("bad-report", what, where, fix)) from error


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)
