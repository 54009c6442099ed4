"""Rivals of a multi-label model: the most frequent set of labels, and one regression a label."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.data.stratify import stratified
from tunesmith.evaluation.multilabel import measure_labels
from tunesmith.evaluation.rivals import (
    CHOICE_ROWS,
    MAJORITY,
    STRENGTHS,
    TFIDF,
    Clock,
    Rival,
    learnable,
    milliseconds_each,
    of_how_many,
    vectorizer_for,
)
from tunesmith.evaluation.types import Bools, Floats, Ints
from tunesmith.model.thresholds import Thresholds, fit_thresholds

__all__ = ["run_multilabel_rivals"]

# choosing a strength costs a fit of every label each time
_FEW_LABELS = 20
_FEW_STRENGTHS = STRENGTHS[2::2]
_FIT, _HELD = 0.8, 0.2


def run_multilabel_rivals(
    train: Dataset, test: Dataset, seed: int, *, clock: Clock = time.perf_counter
) -> tuple[Rival, ...]:
    """Train every rival on `train` and let it answer `test`, which must share their task."""
    assert train.task.labels == test.task.labels, "train and test must have one label list"
    return (_majority(train, test, clock), _regressions(train, test, seed, clock))


def _majority(train: Dataset, test: Dataset, clock: Clock) -> Rival:
    """Give every text the most frequent set of labels; its probabilities are the label shares."""
    start = clock()
    truth = train.label_matrix
    usual = Counter(row.tobytes() for row in truth).most_common(1)[0][0]
    # one more row with and one without: a label that training lacks is unlikely, not impossible
    shares = (truth.sum(axis=0) + 1) / (len(truth) + 2)
    trained = clock()
    probabilities = np.tile(shares, (len(test), 1))
    given = np.tile(np.frombuffer(usual, np.bool_), (len(test), 1))
    per_text = milliseconds_each(clock() - trained, len(test))
    how = "gives every text the most frequent set of labels of the training rows"
    return Rival(MAJORITY, how, probabilities, trained - start, per_text, given)


def _regressions(train: Dataset, test: Dataset, seed: int, clock: Clock) -> Rival:
    """TF-IDF of words and word pairs under a logistic regression for each label.

    C and the thresholds are fitted on a fifth of `train`, the thresholds as the model's own are.
    Where no text has a word it answers as the majority does.
    """
    learned = learnable(train, seed)
    texts, truth = learned.texts, learned.label_matrix
    start = clock()
    if not any(text.strip() for text in texts):
        how = "had nothing to learn (no words), so it answers as the majority does"
        return replace(_majority(train, test, clock), name=TFIDF, how=how)
    strength, thresholds = _choose(texts, truth, learned.target_lists, seed)
    vectorizer = vectorizer_for(len(train.task.labels))
    models = _fit(vectorizer.fit_transform(texts), truth, strength)
    trained = clock()
    probabilities = _answer(models, vectorizer.transform(chain.from_iterable(test.text_batches())))
    per_text = milliseconds_each(clock() - trained, len(test))
    given = thresholds.given(probabilities)
    how = _how(strength) + of_how_many(learned, train)
    return Rival(TFIDF, how, probabilities, trained - start, per_text, given)


def _how(strength: float) -> str:
    return (
        "weighs words and word pairs by TF-IDF and learns a logistic regression for each label"
        f" (C = {strength:g} and the thresholds were fitted on a fifth of the training rows)"
    )


def _choose(
    texts: list[str], truth: Bools, labels: list[list[str] | None], seed: int
) -> tuple[float, Thresholds]:
    """The strength that does best on held-out training rows, and the thresholds that go with it."""
    fit_rows, held_rows = _part(labels, seed)
    strengths = STRENGTHS if truth.shape[1] <= _FEW_LABELS else _FEW_STRENGTHS
    if not (len(held_rows) and any(texts[row].strip() for row in fit_rows)):
        return strengths[0], Thresholds.unfitted(truth.shape[1])
    vectorizer = vectorizer_for(truth.shape[1])
    features = vectorizer.fit_transform([texts[row] for row in fit_rows])
    held = vectorizer.transform([texts[row] for row in held_rows])
    found = []
    for strength in strengths:
        probabilities = _answer(_fit(features, truth[fit_rows], strength), held)
        thresholds = fit_thresholds(truth[held_rows], probabilities)
        metrics = measure_labels(truth[held_rows], probabilities, thresholds.given(probabilities))
        found.append(((metrics["macro_f1"], -metrics["log_loss"]), strength, thresholds))
    return max(found, key=lambda ranked: ranked[0])[1:]


def _part(labels: list[list[str] | None], seed: int) -> tuple[Ints, Ints]:
    """Training rows to fit and to hold out, in even shares of every label."""
    taken = np.random.default_rng(seed).permutation(len(labels))[:CHOICE_ROWS]
    parts = stratified([labels[row] or () for row in taken], (_FIT, _HELD))
    return taken[parts == 0], taken[parts == 1]


def _fit(features: Any, truth: Bools, strength: float) -> list[Any]:
    """One regression a label; where all rows agree, the smoothed share of those that have it."""
    return [
        _regression(features, column, strength)
        if 0 < column.sum() < len(column)
        else (column.sum() + 1) / (len(column) + 2)
        for column in truth.T
    ]


def _regression(features: Any, column: Bools, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, solver="liblinear")
    with warnings.catch_warnings():
        # as for single labels: users cannot act on a search that stopped at its limit
        warnings.simplefilter("ignore")
        return model.fit(features, column)


def _answer(models: list[Any], features: Any) -> Floats:
    probabilities = np.zeros((features.shape[0], len(models)))
    for label_id, model in enumerate(models):
        is_share = isinstance(model, float)
        probabilities[:, label_id] = model if is_share else model.predict_proba(features)[:, 1]
    return probabilities
