"""Texts -> the columns that are added to a table, as Arrow holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tunesmith.bundle import Bundle
from tunesmith.data.cells import text_of
from tunesmith.data.chat import as_row_text, before_last_answer, is_answered, messages_in
from tunesmith.data.conversation import holds_messages, messages_of_cell, unwrapped
from tunesmith.model.encode import Encoded
from tunesmith.predict import Prediction, Predictor
from tunesmith.task import Task
from tunesmith.writer import Prompt, Writer

__all__ = [
    "COMPLETION",
    "FINISH_REASON",
    "LABEL",
    "LABELS",
    "PROBABILITIES",
    "PROBABILITY",
    "TRUNCATED",
    "Answers",
    "Asked",
    "added_columns",
    "answered",
    "answers_of",
    "asked_of",
    "cells_of",
    "prompt_of",
]

LABEL, PROBABILITY, TRUNCATED = "predicted_label", "probability", "truncated"
# of a multi-label model
LABELS, PROBABILITIES = "predicted_labels", "probabilities"
# of a model that writes
COMPLETION, FINISH_REASON = "predicted_completion", "finish_reason"

_TEXT = pa.large_string()
_ONE_LABEL = pa.schema({LABEL: _TEXT, PROBABILITY: pa.float64(), TRUNCATED: pa.bool_()})
_SEVERAL = pa.schema({LABELS: pa.list_(_TEXT), PROBABILITIES: pa.list_(pa.float64()), TRUNCATED: pa.bool_()})
_WRITTEN = pa.schema({COMPLETION: _TEXT, FINISH_REASON: _TEXT, TRUNCATED: pa.bool_()})
_DECIMALS = 6


def added_columns(task: Task) -> pa.Schema:
    """The columns that a model of this task adds to a table."""
    match task.kind:
        case "single_label":
            return _ONE_LABEL
        case "multi_label":
            return _SEVERAL
        case _:
            return _WRITTEN


def cells_of(prediction: Prediction | None, columns: Sequence[str]) -> dict[str, object]:
    """What a prediction adds to its row in these columns, those of `added_columns`; empty without one."""
    if prediction is None:
        return dict.fromkeys(columns)
    match prediction.target:
        case str(label):
            told: tuple[object, object] = (None if prediction.abstained else label, prediction.score)
        case labels:
            told = (list(labels), [round(prediction.scores[label], _DECIMALS) for label in labels])
    return dict(zip(columns, (*told, prediction.truncated), strict=True))


def prompt_of(cell: object, task: Task) -> str:
    """What the model is asked about a cell, empty where it holds nothing; raise CellError for no text."""
    cell = unwrapped(cell) if task.writes else cell
    if not (task.writes and holds_messages(cell)):
        return text_of(cell) or ""
    messages, faults = messages_of_cell(cell)
    for fault in faults:
        raise fault
    return as_row_text(before_last_answer(messages) if is_answered(messages) else messages)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about the rows of a piece: equal texts once, rows without a text not at all."""

    ready: Any
    """The distinct texts as the model reads them"""
    distinct: int
    rows: pa.Array
    """(rows,) which of the distinct texts each row has; null where it has none"""


class Answers(Protocol):
    """What answers texts; `prepare` may run in another thread than `answer`."""

    @property
    def columns(self) -> pa.Schema:
        """The columns that are added."""

    def prepare(self, texts: Sequence[str]) -> Any:
        """The texts as the model reads them."""

    def answer(self, ready: Any) -> pa.Table:
        """(texts, columns) the answers to what was prepared, which is at least one text."""


def asked_of(answers: Answers, texts: Sequence[str]) -> Asked:
    """What is asked about rows with these texts, tokenised."""
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(text, len(numbers)) if text.strip() else None for text in texts]
    return Asked(answers.prepare(list(numbers)), len(numbers), pa.array(rows, pa.int64()))


def answered(answers: Answers, asked: Asked) -> pa.Table:
    """(rows, added columns) the answer of each row; null where it has no text."""
    found = answers.answer(asked.ready) if asked.distinct else answers.columns.empty_table()
    return found.take(asked.rows)


@dataclass(frozen=True, slots=True)
class _Labels:
    """Labels and their probabilities, without an object for each row."""

    predictor: Predictor
    columns: pa.Schema

    def prepare(self, texts: Sequence[str]) -> Encoded:
        return self.predictor.encode(texts)

    def answer(self, ready: Encoded) -> pa.Table:
        probabilities = self.predictor.probabilities(ready)
        columns = self._several(probabilities) if self.columns is _SEVERAL else self._one(probabilities)
        return pa.table([*columns, pa.array(ready.truncated)], schema=self.columns)

    def _one(self, probabilities: npt.NDArray[np.float64]) -> tuple[pa.Array, pa.Array]:
        best, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
        named = pa.array(best, mask=sureness < self.predictor.min_confidence)
        return pa.array(self.predictor.labels, _TEXT).take(named), pa.array(sureness)

    def _several(self, probabilities: npt.NDArray[np.float64]) -> tuple[pa.Array, pa.Array]:
        given = self.predictor.thresholds.given(probabilities)
        order = np.argsort(-probabilities, axis=1, kind="stable")
        rows, ranks = np.nonzero(np.take_along_axis(given, order, axis=1))
        ids = order[rows, ranks]
        ends = pa.array(np.searchsorted(rows, np.arange(len(given) + 1)), pa.int32())
        labels = pa.array(self.predictor.labels, _TEXT).take(pa.array(ids))
        scores = pa.array(np.round(probabilities[rows, ids], _DECIMALS))
        return tuple(pa.ListArray.from_arrays(ends, items) for items in (labels, scores))


@dataclass(frozen=True, slots=True)
class _Writing:
    """What is written, and why it ended."""

    writer: Writer
    columns: pa.Schema

    def prepare(self, texts: Sequence[str]) -> list[Prompt]:
        return [messages_in(text) if holds_messages(text) else text for text in texts]

    def answer(self, ready: list[Prompt]) -> pa.Table:
        written = self.writer.write(ready)
        cells = zip(*((one.text, one.finish_reason, one.truncated) for one in written), strict=True)
        return pa.table([pa.array(column) for column in cells], schema=self.columns)


def answers_of(bundle: Bundle, min_confidence: float) -> Answers:
    """Load the model; raise ConfigError where it has no least confidence and `min_confidence` is given."""
    columns = added_columns(bundle.task)
    if bundle.task.writes:
        return _Writing(bundle.writer(), columns)
    return _Labels(bundle.predictor().abstaining(min_confidence), columns)
