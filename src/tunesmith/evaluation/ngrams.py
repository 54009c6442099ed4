"""Linear n-grams: the mean of learned vectors of words and word pairs under a linear layer, as in fastText.

Source: Joulin, Grave, Bojanowski and Mikolov, Bag of Tricks for Efficient Text Classification, 2017. As
there, the step falls linearly and both layers are learned together; unlike there, steps are of some rows and
scaled by Adagrad, which needs fewer of them, and what training has not seen counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.budget import Budget
from tunesmith.evaluation.one_vs_rest import parted
from tunesmith.evaluation.regression import teaches
from tunesmith.evaluation.rival import NGRAMS, Rival, learnable, majority, milliseconds_each, of_how_many
from tunesmith.evaluation.tfidf import WORDS
from tunesmith.evaluation.types import Bools, Floats, Ints
from tunesmith.model.forward import sigmoid, softmax
from tunesmith.model.thresholds import Thresholds, fit_thresholds

__all__ = ["linear_ngrams"]

_BUCKETS = 1 << 20
_DIMS = 16
_EPOCHS = 15
_ROWS_PER_STEP = 32
_RATE = 0.3
_CHOICE_ROWS = 20_000
# what all would take is told from so many rows
_PIECE = 256
_TINY = 1e-12

Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Model:
    """What was learned of the n-grams that training has."""

    known: Ints
    """(n-grams,) their buckets, ascending"""
    vectors: Numbers
    """(n-grams, dims)"""
    output: Numbers
    """(labels, dims)"""
    squash: Callable[[Any], Any]

    def answer(self, hashed: Any) -> Floats:
        """(rows, buckets) -> (rows, labels) probabilities."""
        logits = (hashed[:, self.known] @ self.vectors) @ self.output.T
        probabilities: Floats = self.squash(np.asarray(logits, np.float64))
        return probabilities

    @property
    def size_bytes(self) -> int:
        """Of buckets, vectors and output, in 32 bits."""
        return 4 * (len(self.known) + self.vectors.size + self.output.size)


def linear_ngrams(train: Dataset, test: Dataset, seed: int, budget: Budget) -> Rival:
    """Learn vectors of words and word pairs; raise LeftOut where `budget` does not allow it.

    Where there is nothing to learn it answers as the majority does.
    """
    learned, clock = learnable(train, seed), budget.clock
    if not teaches(learned):
        how = "had nothing to learn (one label, or no words), so it answers as the majority does"
        return replace(majority(train, test, clock), name=NGRAMS, how=how)
    several = train.task.kind == "multi_label"
    targets = _targets(learned, several)
    _refuse_if_too_long(learned, len(test), targets, several, seed, budget)
    start = clock()
    hashed = _hashed(learned.texts)
    thresholds = _thresholds(hashed, targets, learned, several, seed)
    model = _fitted(hashed, targets, several, seed)
    trained = clock()
    probabilities = model.answer(_hashed(chain.from_iterable(test.text_batches())))
    per_text = milliseconds_each(clock() - trained, len(test))
    how = (
        f"averages vectors of words and word pairs ({_DIMS} numbers each, {_EPOCHS} epochs) under a linear"
        f" layer, as fastText does{of_how_many(learned, train)}"
    )
    given = thresholds.given(probabilities) if thresholds else None
    return Rival(NGRAMS, how, probabilities, trained - start, per_text, given, model.size_bytes)


def _targets(rows: Dataset, several: bool) -> Numbers:
    """(rows, labels) 1 for each label of a row."""
    if several:
        return rows.label_matrix.astype(np.float32)
    return np.eye(len(rows.task.labels), dtype=np.float32)[rows.label_ids]


def _refuse_if_too_long(
    rows: Dataset, asked: int, targets: Numbers, several: bool, seed: int, budget: Budget
) -> None:
    budget.allow_any()
    if len(rows) <= _PIECE:
        return
    piece = np.sort(np.random.default_rng(seed).choice(len(rows), _PIECE, replace=False))
    texts = rows.take(piece).texts
    began = budget.clock()
    hashed = _hashed(texts)
    read = budget.clock()
    _fitted(hashed, targets[piece], several, seed, epochs=1)
    taught = budget.clock()
    fits = 2 if several else 1
    per_row = (read - began) * (1 + asked / len(rows)) + (taught - read) * _EPOCHS * fits
    budget.allow(per_row * len(rows) / _PIECE)


def _hashed(texts: Iterable[str]) -> Any:
    """(texts, buckets), sparse: the share of each n-gram in its text."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        ngram_range=(1, 2),
        token_pattern=WORDS,
        n_features=_BUCKETS,
        alternate_sign=False,
        norm="l1",
        dtype=np.float32,
    )
    return vectorizer.transform(texts)


def _thresholds(hashed: Any, targets: Numbers, rows: Dataset, several: bool, seed: int) -> Thresholds | None:
    """Those of a model that was fitted without the rows by which they are chosen."""
    if not several:
        return None
    fitted, held = parted(rows, seed, _CHOICE_ROWS)
    if not len(held):
        return Thresholds.unfitted(targets.shape[1])
    model = _fitted(hashed[fitted], targets[fitted], several, seed)
    truth: Bools = targets[held] > 0
    return fit_thresholds(truth, model.answer(hashed[held]))


def _fitted(hashed: Any, targets: Numbers, several: bool, seed: int, epochs: int = _EPOCHS) -> _Model:
    """Learn from all rows, `epochs` times, in an order that `seed` decides."""
    random = np.random.default_rng(seed)
    known = np.unique(hashed.indices)
    model = _Model(
        known,
        random.uniform(-1 / _DIMS, 1 / _DIMS, (len(known), _DIMS)).astype(np.float32),
        np.zeros((targets.shape[1], _DIMS), np.float32),
        sigmoid if several else softmax,
    )
    seen = hashed[:, known]
    spent = _Spent(np.zeros((len(known), 1), np.float32), np.zeros(1, np.float32))
    starts = range(0, len(targets), _ROWS_PER_STEP)
    steps = epochs * len(starts)
    for epoch in range(epochs):
        order = random.permutation(len(targets))
        for step, start in enumerate(starts, epoch * len(starts)):
            rows = order[start : start + _ROWS_PER_STEP]
            _step(model, seen[rows], targets[rows], spent, _RATE * (1 - step / steps))
    return model


@dataclass(frozen=True, slots=True)
class _Spent:
    """The squared gradients so far, by which Adagrad divides: of each n-gram and of the output."""

    vectors: Numbers
    output: Numbers


def _step(model: _Model, rows: Any, targets: Numbers, spent: _Spent, rate: float) -> None:
    """Change the model by one step on `rows`, (rows, n-grams)."""
    used, places = np.unique(rows.indices, return_inverse=True)
    if not len(used):
        return
    bags = type(rows)((rows.data, places, rows.indptr), shape=(rows.shape[0], len(used)))
    means = bags @ model.vectors[used]  # (rows, dims)
    wrong = (model.squash(means @ model.output.T) - targets).astype(np.float32)
    of_vectors, of_output = bags.T @ (wrong @ model.output), wrong.T @ means
    spent.vectors[used] += (of_vectors**2).mean(1, keepdims=True)
    spent.output[:] += (of_output**2).mean()
    model.vectors[used] -= rate * of_vectors / np.sqrt(spent.vectors[used] + _TINY)
    model.output[:] -= rate * of_output / np.sqrt(spent.output + _TINY)
