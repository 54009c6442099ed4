"""From which probability on a label is given, where a text may have several: fitted on validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Bools", "Thresholds", "fit_thresholds"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]

# a label with fewer rows takes the shared threshold: its own would follow single rows
_FEWEST_ROWS = 8
_UNFITTED = 0.5


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The threshold of each label, in label order, and the one that rare labels share."""

    labels: tuple[float, ...]
    shared: float

    @classmethod
    def unfitted(cls, labels: int) -> Thresholds:
        """One half for every label."""
        return cls((_UNFITTED,) * labels, _UNFITTED)

    def given(self, probabilities: npt.NDArray[Any]) -> Bools:
        """(rows, labels) whether each label is given."""
        return np.asarray(probabilities >= np.asarray(self.labels), np.bool_)

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """The thresholds as JSON values, by the names of the labels."""
        return {"shared": self.shared, "labels": dict(zip(names, self.labels, strict=True))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], names: Sequence[str]) -> Thresholds:
        """What `to_dict` wrote; raise KeyError, TypeError or ValueError where it is not of these labels."""
        of_labels = tuple(float(values["labels"][name]) for name in names)
        if not all(0 <= threshold <= 1 for threshold in (*of_labels, values["shared"])):
            raise ValueError("a threshold is no probability")
        return cls(of_labels, float(values["shared"]))


def fit_thresholds(truth: Bools, probabilities: Floats) -> Thresholds:
    """The thresholds of best F1 on validation rows; truth and probabilities are (rows, labels).

    A label with few rows takes the threshold that is best for all labels together (micro-F1).
    """
    shared = _best(truth.ravel(), probabilities.ravel())
    enough = truth.sum(axis=0) >= _FEWEST_ROWS
    columns = zip(truth.T, probabilities.T, enough, strict=True)
    return Thresholds(tuple(_best(*column) if own else shared for *column, own in columns), shared)


def _best(truth: Bools, probabilities: Floats) -> float:
    """The threshold of best F1, halfway between the probabilities that it parts."""
    order = np.argsort(-probabilities, kind="stable")
    falling, hits = probabilities[order], np.cumsum(truth[order])
    if not hits.size or not hits[-1]:
        return _UNFITTED
    below = np.append(falling[1:], 0.0)
    f1 = 2 * hits / (np.arange(1, hits.size + 1) + hits[-1])
    # a threshold cannot part equal probabilities
    best = int(np.argmax(np.where(falling > below, f1, -1.0)))
    return float((falling[best] + below[best]) / 2)
