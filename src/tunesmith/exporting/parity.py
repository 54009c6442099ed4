"""Source and export on the same rows -> whether they answer alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset
from tunesmith.errors import ExportError, Problem
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.multilabel import measure_labels
from tunesmith.evaluation.wording import clip
from tunesmith.labels import answer_rows
from tunesmith.model.forward import Floats
from tunesmith.predict import Predictor

__all__ = ["EXACT", "ROUNDED", "Bounds", "Parity", "compare_answers"]

_MOST_SHOWN = 5
_TEXT_WIDTH = 60
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How alike answers must be."""

    agreement: float
    """The least share of rows that get the same labels"""
    macro_f1: float
    """The most that macro-F1 may change"""


EXACT = Bounds(0.999, 0.005)
"""Of exports that compute in 32 bits"""
ROUNDED = Bounds(0.99, 0.005)
"""Of exports that compute in 8 bits"""


@dataclass(frozen=True, slots=True)
class Parity:
    """How alike the answers were."""

    rows: int
    agreement: float
    """The share of rows that got the same labels"""
    largest_change: float
    """Of any probability of any row"""
    macro_f1_before: float
    macro_f1_after: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def compare_answers(source: Predictor, export: Predictor, rows: Dataset, bounds: Bounds) -> Parity:
    """Both models' answers to the rows; raises ExportError with rows that differ where too many do."""
    (before, *_), (after, *_) = (answer_rows(model, rows) for model in (source, export))
    same = _given(source, before) == _given(source, after)
    alike = same.all(axis=1)
    parity = Parity(
        rows=len(rows),
        agreement=float(alike.mean()),
        largest_change=float(np.abs(before - after).max()),
        macro_f1_before=_macro_f1(source, before, rows),
        macro_f1_after=_macro_f1(source, after, rows),
    )
    if problems := list(_faults(parity, bounds)):
        shown = np.flatnonzero(~alike)[:_MOST_SHOWN]
        told = [_row_that_differs(source, rows, int(row), before, after) for row in shown]
        raise ExportError([*problems, *told])
    return parity


def _given(model: Predictor, probabilities: Floats) -> Bools:
    """(rows, labels) which labels each row is given."""
    if model.classifier.multi_label:
        return model.thresholds.given(probabilities)
    given: Bools = np.zeros(probabilities.shape, bool)
    given[np.arange(len(given)), probabilities.argmax(axis=1)] = True
    return given


def _macro_f1(model: Predictor, probabilities: Floats, rows: Dataset) -> float:
    if model.classifier.multi_label:
        given = model.thresholds.given(probabilities)
        return measure_labels(rows.label_matrix, probabilities, given)["macro_f1"]
    return measure(rows.label_ids, probabilities)["macro_f1"]


def _faults(parity: Parity, bounds: Bounds) -> Iterator[Problem]:
    fix = "serve the run as it is, or export it in another form"
    where = f"{parity.rows:,} compared rows"
    if parity.agreement < bounds.agreement:
        what = (
            f"the export gives other labels than its source on {1 - parity.agreement:.2%} of the rows, "
            f"where {1 - bounds.agreement:.1%} are allowed"
        )
        yield Problem("no-parity", what, where, fix)
    if abs(parity.macro_f1_after - parity.macro_f1_before) > bounds.macro_f1:
        what = (
            f"macro-F1 changes from {parity.macro_f1_before:.3f} to {parity.macro_f1_after:.3f}, "
            f"and may change by {bounds.macro_f1}"
        )
        yield Problem("no-parity", what, where, fix)


def _row_that_differs(model: Predictor, rows: Dataset, row: int, before: Floats, after: Floats) -> Problem:
    """One row that is answered otherwise."""
    text = clip(rows[row].text, _TEXT_WIDTH)
    what = f"{_answer(model, before[row])} became {_answer(model, after[row])}: {text}"
    return Problem("no-parity", what, rows.where(row), "look whether the text is one of two labels", "info")


def _answer(model: Predictor, probabilities: Floats) -> str:
    (given,) = _given(model, probabilities[None])
    named = [f"{model.labels[label]} ({probabilities[label]:.3f})" for label in np.flatnonzero(given)]
    return ", ".join(named) or "no label"
