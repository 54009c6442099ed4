"""Rival: what a method beside the model answered, or why it was not run; and the simplest of all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.types import Bools, Floats

__all__ = [
    "FEW_SHOT",
    "MAJORITY",
    "NGRAMS",
    "PROBE",
    "TFIDF",
    "ZERO_SHOT",
    "Clock",
    "LeftOut",
    "Rival",
    "learnable",
    "majority",
    "milliseconds_each",
    "of_how_many",
]

MAJORITY = "majority"
TFIDF = "TF-IDF + LR"
NGRAMS = "n-grams"
PROBE = "probe"
ZERO_SHOT = "zero-shot"
FEW_SHOT = "few-shot"

Clock = Callable[[], float]

# the rivals that learn see no more: TF-IDF holds every word pair of its texts in memory
_MOST_ROWS = 200_000
_MOST_TEXT_BYTES = 1 << 26
_FLOAT = 4


@dataclass(frozen=True, slots=True)
class Rival:
    """A cheap method's answers on the test rows: probabilities are (rows, labels).

    `given` (rows, labels) are the labels that a multi-label method gives; `size_bytes` is what it would take
    on disk: its arrays in 32 bits, and its words.
    """

    name: str
    how: str
    probabilities: Floats
    train_seconds: float
    milliseconds_per_text: float
    given: Bools | None = None
    size_bytes: int | None = None


class LeftOut(Exception):  # noqa: N818 (it is no error: a rival is told as not run)
    """Why a rival is not run."""


def majority(train: Dataset, test: Dataset, clock: Clock = time.perf_counter) -> Rival:
    """Answer every text with the most frequent label, or set of labels; probabilities are their shares."""
    start = clock()
    several = train.task.kind == "multi_label"
    shares = _shares_of_sets(train) if several else _shares(train)
    usual = _usual_set(train) if several else None
    trained = clock()
    probabilities = np.tile(shares, (len(test), 1))
    given = None if usual is None else np.tile(usual, (len(test), 1))
    per_text = milliseconds_each(clock() - trained, len(test))
    verb, what = ("gives", "set of labels") if several else ("answers", "label")
    how = f"{verb} every text {'' if several else 'with '}the most frequent {what} of the training rows"
    return Rival(MAJORITY, how, probabilities, trained - start, per_text, given, _FLOAT * len(shares))


def _shares(train: Dataset) -> Floats:
    # one more row each: a label that training lacks is unlikely, not impossible
    counts = np.bincount(train.label_ids, minlength=len(train.task.labels)) + 1
    shares: Floats = counts / counts.sum()
    return shares


def _shares_of_sets(train: Dataset) -> Floats:
    # one more row with and one without, for the same reason
    shares: Floats = (train.label_matrix.sum(axis=0) + 1) / (len(train) + 2)
    return shares


def _usual_set(train: Dataset) -> Bools:
    """(labels,) the set of labels that most rows have."""
    usual = Counter(row.tobytes() for row in train.label_matrix).most_common(1)[0][0]
    return np.frombuffer(usual, np.bool_)


def milliseconds_each(seconds: float, texts: int) -> float:
    """The share of each text, in milliseconds."""
    return 1000 * seconds / max(1, texts)


def learnable(train: Dataset, seed: int) -> Dataset:
    """The rows that a rival learns from: all, or of very many a random share."""
    texts = train.table.column("text").nbytes
    return train.drawn(min(_MOST_ROWS, len(train) * _MOST_TEXT_BYTES // max(1, texts)), seed)


def of_how_many(learned: Dataset, train: Dataset) -> str:
    """What is said of a rival that did not learn from all rows."""
    return (
        "" if len(learned) == len(train) else f", from {len(learned):,} of the {len(train):,} training rows"
    )
