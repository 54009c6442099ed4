"""What an evaluation is asked beyond its usual report, made ready for a bundle and its test rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.bundle import Bundle
from tunesmith.data.columns import column_values
from tunesmith.data.dataset import Dataset
from tunesmith.errors import ConfigError, Problem
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.understanding.understood import Asked
from tunesmith.model.selection import Goal
from tunesmith.task import Task

__all__ = ["asked_of", "refuse_for_writing", "sliced_by"]


def refuse_for_writing(task: Task, where: str | Path, what: str) -> None:
    """Raise ConfigError where a model writes, for which there is no such thing as `what`."""
    if task.writes:
        told = f"{what} are for models that give labels, and this one writes"
        raise ConfigError(Problem("for-labels", told, str(where), "leave them out"))


def sliced_by(slice_columns: Sequence[str], data: str | Path, test: Dataset) -> Asked:
    """What is asked after training, of test rows that were read from `data`; raises as `asked_of`."""
    if slice_columns:
        refuse_for_writing(test.task, data, "slices")
    return Asked(column_values(data, slice_columns, test))


def asked_of(
    bundle: Bundle,
    data: str | Path,
    test: Dataset,
    slice_columns: Sequence[str],
    *,
    explain: bool,
    robustness: bool,
) -> Asked:
    """What is asked of the report on `test`, read from `data`; raise DataError where it lacks a column."""
    columns = column_values(data, slice_columns, test)
    return Asked(columns, explain, robustness, goals=_fitted_goals(bundle))


def _fitted_goals(bundle: Bundle) -> tuple[Goal, ...]:
    """From which confidence on the model was how often right on its validation rows; none where unknown."""
    if bundle.task.kind != "single_label":
        return ()
    report = Report.from_dict(bundle.read("report.json"), str(bundle.path / "report.json"))
    goals = report.understanding.selection.goals if report.understanding else ()
    return tuple(Goal(found.goal, found.min_confidence) for found in goals if found.fitted_on == "validation")
