"""JobListener: what the engine tells -> the diary of the job; and where work that should stop does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.files import read_json, write_json
from tunesmith.listener import Listener
from tunesmith.studio.work.diary import Diary
from tunesmith.studio.work.heartbeat import Heartbeat, Stopped

if TYPE_CHECKING:
    from tunesmith.data.check import DataReport
    from tunesmith.training.state import Fitted, Progress

__all__ = ["GoingOn", "JobListener", "curve_figures", "tell_rest"]

_VALID_ACCURACY = ("token_accuracy", "accuracy", "reward_accuracy")


def curve_figures(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of the engine's history by the names of the API; of a classifier, an answer is one token.
    Of preferences, what is counted is pairs.

    All validation rows are judged each time: what is of all of them is what is of a part.
    """
    figures = {"train_loss": row.get("train_loss"), "valid_loss": row.get("validation_loss")}
    accuracy = next((row[name] for name in _VALID_ACCURACY if name in row), None)
    figures["valid_mean_token_accuracy"] = accuracy
    return {name: float(value) for name, value in figures.items() if value is not None}


class GoingOn(Listener):
    """Raises Stopped where the heartbeat says that work should end."""

    def __init__(self, beat: Heartbeat) -> None:
        self._beat = beat

    def stage(self, _name: str) -> None:
        """Look whether to go on."""
        self._beat.go_on()

    def note(self, _text: str) -> None:
        """Look whether to go on."""
        self._beat.go_on()

    def answered(self, _who: str, _done: int, _total: int) -> None:
        """Look whether to go on."""
        self._beat.go_on()


class JobListener(GoingOn):
    """Tells steps after `told_step`, and raises Stopped where the heartbeat says that work should end.

    While training, the engine stops by itself once it has saved a checkpoint; only work in vain ends at once.
    """

    def __init__(self, diary: Diary, beat: Heartbeat, told_step: int, trained: Path) -> None:
        super().__init__(beat)
        self._diary, self._told_step, self._trained = diary, told_step, trained
        self._begun: tuple[float, int] | None = None
        self._total_steps = 0

    def checked(self, report: DataReport) -> None:
        """Tell what the check of the data found besides errors."""
        for problem in report.problems:
            if problem.severity == "warning":
                data = {"code": problem.code, "count": problem.count}
                self._diary.tell(f"{problem.what} ({problem.count:,} rows)", level="warn", data=data)

    def training(self, progress: Progress) -> None:
        """Tell a step that was logged, and when all will be done at this pace."""
        if self._beat.in_vain:
            raise Stopped
        now = time.monotonic()
        self._begun = self._begun or (now, progress.step)
        self._total_steps = progress.total_steps
        row = progress.logged
        if row is None:
            return
        since, first = self._begun
        pace = (now - since) / max(1, progress.step - first)
        self._diary.progress(progress.step, pace * (progress.total_steps - progress.step))
        if progress.step > self._told_step:
            self._told_step = progress.step
            _tell_step(self._diary, progress.step, progress.total_steps, row)

    def trained(self, fitted: Fitted) -> None:
        """Keep what only the engine knows, for when the worker dies before all is kept."""
        # one that went on after the last step took none
        total = self._total_steps or fitted.step
        write_json(self._trained, {"tokens": fitted.tokens, "history": fitted.history, "total_steps": total})
        tell_rest(self._diary, self._told_step, self._trained)


def tell_rest(diary: Diary, told_step: int, trained: Path) -> None:
    """Tell the steps after `told_step` that a worker had not told which died when all was trained."""
    kept = read_json(trained)
    rest = [row for row in kept["history"] if row["step"] > told_step and row.get("train_loss") is not None]
    for row in rest:
        _tell_step(diary, row["step"], kept["total_steps"], row)
    if rest:
        diary.progress(rest[-1]["step"], 0.0)


def _tell_step(diary: Diary, step: int, total: int, row: Mapping[str, Any]) -> None:
    figures = curve_figures(row)
    message = f"Step {step}/{total}: training loss={figures['train_loss']:.2f}"
    if "valid_loss" in figures:
        message += f", validation loss={figures['valid_loss']:.2f}"
    diary.tell(message, data={"step": step, "total_steps": total, **figures}, metrics=True)
