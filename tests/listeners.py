"""A listener that keeps what it hears."""

from __future__ import annotations

import tunesmith as ts
from tunesmith.training.loop import Progress

__all__ = ["Heard"]


class Heard(ts.Listener):
    """Keeps what it hears; `steps` are how many each stage took."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.progress: list[Progress] = []
        self.steps: dict[str, int] = {}

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def training(self, progress: Progress) -> None:
        self.progress.append(progress)
        self.steps[self.stages[-1]] = progress.step
