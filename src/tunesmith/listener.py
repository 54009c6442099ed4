"""Listener: hears how far the work has come, so that outer layers can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.data.check import DataReport
    from tunesmith.training.state import Progress

__all__ = ["Listener"]


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
