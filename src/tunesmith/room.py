"""The room of each kind of task, where all stands that is not the same for every kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tunesmith import labels, preferring, writing
from tunesmith.data.check import DataReport
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.evaluation.types import Report
from tunesmith.lesson import Judging, Lesson, OnAnswer
from tunesmith.model.thresholds import Thresholds
from tunesmith.processes import Processes
from tunesmith.recipe import Recipe
from tunesmith.task import Task

__all__ = ["Room", "room_of"]


class Room(Protocol):
    """What a stage asks of a kind of task; learners, answerers and rivals are of types of its own."""

    def load_base(self, recipe: Recipe, train: Dataset, /) -> Any:
        """The base as a Learner for the task of the training rows."""

    def token_report(
        self, report: DataReport, dataset: Dataset, tokenizer: Any, window: int, /
    ) -> DataReport:
        """The report with the lengths of the rows in tokens."""

    def label_counts(self, train: Dataset, /) -> tuple[int, ...]:
        """The rows of each label, where weights can make up for rare ones."""

    def answer_tokens(self, train: Dataset, tokenizer: Any, /) -> int:
        """The tokens of the longest answer that is to be written; 0: none is."""

    def lesson(self, learner: Any, recipe: Recipe, splits: Splits, processes: Processes, /) -> Lesson:
        """What is learned from the training rows, and judged on the validation rows by all processes."""

    def answerer(self, learner: Any, recipe: Recipe, splits: Splits, /) -> Any:
        """What answers with the trained model."""

    def thresholds(self, answerer: Any, /) -> Thresholds | None:
        """From which probability on the answerer gives a label, where that was fitted."""

    def judged(self, test: Dataset, recipe: Recipe, /) -> Dataset:
        """The test rows that are answered."""

    def rivals(self, recipe: Recipe, train: Dataset, test: Dataset, on_answer: OnAnswer, /) -> Sequence[Any]:
        """The cheap methods on the same split."""

    def rival(
        self,
        name: str,
        how: str,
        answerer: Any,
        test: Dataset,
        on_answer: OnAnswer,
        train_seconds: float,
        recipe: Recipe,
        /,
    ) -> Any:
        """Another trained model's answers to the test rows, as a rival."""

    def judge(self, answerer: Any, test: Dataset, rivals: Sequence[Any], judging: Judging, /) -> Report:
        """The report on the test rows."""


def room_of(task: Task) -> Room:
    """Labels, writing, or writing that is learned from preferences."""
    if task.kind == "preference":
        return preferring
    return writing if task.writes else labels
