"""A model's answers as all of this package sees them, be it one label a text or any number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.evaluation.types import Bools, Floats, Ints
from tunesmith.model.thresholds import Thresholds

__all__ = ["Answers", "answers_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was true and what was answered, row by row.

    `truth` and `given` are sparse (rows, labels); `right` (rows,) says whether a row's labels are exactly the
    true ones; `confidence` (rows,) is how probable that was to the model.
    """

    labels: tuple[str, ...]
    several: bool
    truth: Any
    given: Any
    probabilities: Floats
    right: Bools
    confidence: Floats

    def __len__(self) -> int:
        return len(self.right)


def answers_of(
    labels: tuple[str, ...], truth: Ints | Bools, probabilities: Floats, thresholds: Thresholds | None
) -> Answers:
    """The answers of probabilities (rows, labels); truth is (rows,) label ids, or (rows, labels) of several.

    `thresholds` are those of a multi-label model. Its confidence in a row is the product over the labels of
    its confidence that this one is rightly given, or rightly not.
    """
    if thresholds is None:
        predicted = probabilities.argmax(axis=1)
        return Answers(
            labels,
            False,
            _one_hot(truth, len(labels)),
            _one_hot(predicted, len(labels)),
            probabilities,
            predicted == truth,
            probabilities.max(axis=1).astype(np.float64),
        )
    from scipy.sparse import csr_array

    given = thresholds.given(probabilities)
    right = (given == truth).all(axis=1)
    confidence = np.where(given, probabilities, 1 - probabilities).prod(axis=1)
    borne, answered = (csr_array(each.astype(np.int64)) for each in (truth, given))
    return Answers(labels, True, borne, answered, probabilities, right, confidence.astype(np.float64))


def _one_hot(ids: Ints | Bools, labels: int) -> Any:
    from scipy.sparse import csr_array

    rows = len(ids)
    ones = np.ones(rows, np.int64)
    return csr_array((ones, np.asarray(ids, np.int64), np.arange(rows + 1)), shape=(rows, labels))
