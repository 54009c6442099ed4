"""What a search found: its trials, the best of them, and whether it beat the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tunesmith.evaluation.generation.named import named
from tunesmith.evaluation.types import Report, RivalScore
from tunesmith.evaluation.wording import MACRO_F1, Score
from tunesmith.ranges import Scalar
from tunesmith.recipe import Recipe

__all__ = ["Comparison", "TrialRecord", "TrialState", "Tuning", "lead_of", "said"]

TrialState = Literal["complete", "pruned", "failed", "running", "waiting"]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One recipe that was tried, and how it did on the validation rows."""

    number: int
    state: TrialState
    params: Mapping[str, Scalar]
    score: float | None
    """The best of its evaluations, higher is better; None where there was none"""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What was measured where its score was best"""
    evaluations: int = 0
    seconds: float | None = None
    defaults: bool = False
    """Whether it is the recipe as it was given, with nothing searched"""
    note: str = ""
    """Why it ended early, where that was not the pruner's doing"""

    @property
    def finished(self) -> bool:
        """Whether it counts among the trials that were asked for."""
        return self.state in ("complete", "pruned")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether the search beat the defaults, in words and in numbers."""

    headline: str
    sentences: tuple[str, ...]
    validation_gain: float
    """The best score minus that of the defaults, on the rows that chose: it flatters the best"""
    test: RivalScore | None = None
    """The defaults' model on the test rows, with paired differences; None where the defaults are the best"""


@dataclass(frozen=True, slots=True)
class Tuning:
    """A search: `report` and `comparison` are None while other processes are still at their trials."""

    directory: Path
    study: str
    storage: str
    """Its URL, without a password"""
    trials: tuple[TrialRecord, ...]
    """The best first, then those that were pruned, and what came to nothing"""
    best: TrialRecord
    default: TrialRecord
    recipe: Recipe
    """The best recipe; what it leaves open is chosen as `train` chooses it"""
    importances: Mapping[str, float] | None
    """How much of the scores' variance each key explains; None where trials are too few to tell"""
    comparison: Comparison | None = None
    report: Report | None = None
    """The final model on the test rows, beside its rivals"""

    @property
    def model_path(self) -> Path:
        """The bundle of the final model, which `tunesmith.load` opens."""
        return self.directory / "best" / "model"

    def to_dict(self) -> dict[str, Any]:
        """The search as JSON values; the report is that of the final model's own run, `best/report.json`."""
        return {
            "study": self.study,
            "storage": self.storage,
            "done": self.comparison is not None,
            "best": self.best.number,
            "default": self.default.number,
            "recipe": self.recipe.model_dump(mode="json"),
            "trials": [asdict(trial) for trial in self.trials],
            "importances": None if self.importances is None else dict(self.importances),
            "comparison": None if self.comparison is None else asdict(self.comparison),
            "test": None if self.report is None else self.report.metrics,
        }


def lead_of(report: Report) -> Score:
    """The score that decides whether a model is better."""
    part = report.writing or report.preference
    return named(part.lead) if part is not None else MACRO_F1


def said(value: object) -> str:
    """A value of a key as people read it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
