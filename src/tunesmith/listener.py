"""Listener: hears how far the work has come, so that outer layers can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tunesmith.data.check import DataReport
    from tunesmith.evaluation.types import Report
    from tunesmith.training.state import Fitted, Progress

__all__ = ["Listener", "Listeners", "StageListener"]


class Listener:
    """Hears what a pipeline does; this one stays silent, and subclasses show what they like."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def note(self, text: str) -> None:
        """Something was inferred, chosen or left out."""

    def checked(self, report: DataReport) -> None:
        """The data was checked."""

    def training(self, progress: Progress) -> None:
        """A step was taken."""

    def checkpoint_saved(self, step: int, directory: Path) -> None:
        """What a run needs to go on after `step` stands in `directory`, until later ones replace it."""

    def best_saved(self, step: int, directory: Path) -> None:
        """The best weights so far, those after `step`, stand in `directory`; so they do until better ones."""

    def trained(self, fitted: Fitted) -> None:
        """Training ended; `fitted` has its whole history."""

    def answered(self, who: str, done: int, total: int) -> None:
        """Of `total` test rows that are answered by writing, `done` are."""

    def judged(self, report: Report) -> None:
        """The model was judged on the test rows."""


class Listeners(Listener):
    """Several listeners that all hear the same, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def stage(self, name: str) -> None:
        """A stage begins."""
        for listener in self._listeners:
            listener.stage(name)

    def note(self, text: str) -> None:
        """Something was inferred, chosen or left out."""
        for listener in self._listeners:
            listener.note(text)

    def checked(self, report: DataReport) -> None:
        """The data was checked."""
        for listener in self._listeners:
            listener.checked(report)

    def training(self, progress: Progress) -> None:
        """A step was taken."""
        for listener in self._listeners:
            listener.training(progress)

    def checkpoint_saved(self, step: int, directory: Path) -> None:
        """A checkpoint was saved."""
        for listener in self._listeners:
            listener.checkpoint_saved(step, directory)

    def best_saved(self, step: int, directory: Path) -> None:
        """The best weights were saved."""
        for listener in self._listeners:
            listener.best_saved(step, directory)

    def trained(self, fitted: Fitted) -> None:
        """Training ended."""
        for listener in self._listeners:
            listener.trained(fitted)

    def answered(self, who: str, done: int, total: int) -> None:
        """Test rows were answered."""
        for listener in self._listeners:
            listener.answered(who, done, total)

    def judged(self, report: Report) -> None:
        """The model was judged."""
        for listener in self._listeners:
            listener.judged(report)


class StageListener(Listener):
    """Passes on which stage begins, and nothing else: for the processes beside the main one."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def stage(self, name: str) -> None:
        """Pass it on."""
        self._listener.stage(name)
