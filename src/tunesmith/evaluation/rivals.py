"""Rivals: the cheap methods a fine-tuned model must beat, trained and timed on the same split."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.types import Bools, Floats, Ints

__all__ = [
    "CHOICE_ROWS",
    "MAJORITY",
    "STRENGTHS",
    "TFIDF",
    "Clock",
    "Rival",
    "learnable",
    "majority",
    "milliseconds_each",
    "of_how_many",
    "run_rivals",
    "tfidf_logistic_regression",
    "vectorizer_for",
]

MAJORITY = "majority"
TFIDF = "TF-IDF + LR"

Clock = Callable[[], float]

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
_SKEW = 3
# choosing C looks at no more rows than this; the final fit sees them all
CHOICE_ROWS = 20_000
# the regressions of rivals learn from no more: TF-IDF holds every word pair of its texts in memory
_MOST_ROWS = 200_000
_MOST_TEXT_BYTES = 1 << 26
_CHOICE_FOLDS = 5
# bounds the weights (terms x labels) of the regression, and with them time and memory
_MOST_TERMS = 200_000
_MOST_WEIGHTS = 2_000_000
_FEWEST_TERMS = 2_000
_ITERATIONS = 200


@dataclass(frozen=True, slots=True)
class Rival:
    """A cheap method's answers on the test rows: probabilities are (rows, labels).

    `given` (rows, labels) are the labels that a multi-label method gives.
    """

    name: str
    how: str
    probabilities: Floats
    train_seconds: float
    milliseconds_per_text: float
    given: Bools | None = None


def run_rivals(
    train: Dataset, test: Dataset, seed: int, *, clock: Clock = time.perf_counter
) -> tuple[Rival, ...]:
    """Train every rival on `train` and let it answer `test`, which must share their task."""
    assert train.task.labels == test.task.labels, "train and test must have one label list"
    return (majority(train, test, clock), tfidf_logistic_regression(train, test, seed, clock))


def majority(train: Dataset, test: Dataset, clock: Clock) -> Rival:
    """Answer every text with the most frequent label; its probabilities are the label shares."""
    start = clock()
    shares = _shares(train)
    trained = clock()
    probabilities = np.tile(shares, (len(test), 1))
    per_text = milliseconds_each(clock() - trained, len(test))
    how = "answers every text with the most frequent label of the training rows"
    return Rival(MAJORITY, how, probabilities, trained - start, per_text)


def _shares(train: Dataset) -> Floats:
    # one more row each: a label that training lacks is unlikely, not impossible
    counts = np.bincount(train.label_ids, minlength=len(train.task.labels)) + 1
    shares: Floats = counts / counts.sum()
    return shares


def milliseconds_each(seconds: float, texts: int) -> float:
    """The share of each text, in milliseconds."""
    return 1000 * seconds / max(1, texts)


def tfidf_logistic_regression(train: Dataset, test: Dataset, seed: int, clock: Clock) -> Rival:
    """TF-IDF of words and word pairs under a multinomial logistic regression.

    C, and for skewed labels whether to balance them, are chosen on a fifth of `train` by macro-F1,
    between equals by log-loss.
    Where there is nothing to learn (one label, or no word) it answers as the majority does.
    """
    learned = learnable(train, seed)
    texts, truth = learned.texts, np.asarray(learned.label_ids, dtype=np.int64)
    labels = len(train.task.labels)
    start = clock()
    if len(np.unique(truth)) < 2 or not any(text.strip() for text in texts):
        return _nothing_to_learn(majority(train, test, clock))
    chosen = _choose(texts, truth, labels, seed)
    vectorizer = vectorizer_for(labels)
    model = _fit(_regression(chosen), vectorizer.fit_transform(texts), truth)
    trained = clock()
    probabilities = _answer(model, vectorizer.transform(chain.from_iterable(test.text_batches())), labels)
    per_text = milliseconds_each(clock() - trained, len(test))
    how = _how(chosen) + of_how_many(learned, train)
    return Rival(TFIDF, how, probabilities, trained - start, per_text)


def learnable(train: Dataset, seed: int) -> Dataset:
    """The rows that a rival learns from: all, or of very many a random share."""
    texts = train.table.column("text").nbytes
    return train.drawn(min(_MOST_ROWS, len(train) * _MOST_TEXT_BYTES // max(1, texts)), seed)


def of_how_many(learned: Dataset, train: Dataset) -> str:
    """What is said of a rival that did not learn from all rows."""
    return "" if learned is train else f", from {len(learned):,} of the {len(train):,} training rows"


@dataclass(frozen=True, slots=True)
class _Choice:
    strength: float
    balanced: bool


def _nothing_to_learn(same: Rival) -> Rival:
    how = "had nothing to learn (one label, or no words), so it answers as the majority does"
    return Rival(TFIDF, how, same.probabilities, same.train_seconds, same.milliseconds_per_text)


def _how(chosen: _Choice) -> str:
    weights = ", labels weighted by inverse frequency" if chosen.balanced else ""
    return (
        "weighs words and word pairs by TF-IDF and learns a logistic regression on them"
        f" (C = {chosen.strength:g}{weights}, chosen on a fifth of the training rows)"
    )


def _choose(texts: list[str], truth: Ints, labels: int, seed: int) -> _Choice:
    """The strength and weighting that do best on held-out training rows."""
    fit_rows, held_rows = _part(truth, seed)
    vectorizer = vectorizer_for(labels)
    if len(np.unique(truth[fit_rows])) < 2 or not len(held_rows):
        return _Choice(STRENGTHS[2], balanced=False)
    features = vectorizer.fit_transform([texts[row] for row in fit_rows])
    held = vectorizer.transform([texts[row] for row in held_rows])
    found = []
    for balanced in (False, True) if _is_skewed(truth) else (False,):
        # each fit starts from the last one's weights
        model = _regression(_Choice(STRENGTHS[0], balanced))
        for strength in STRENGTHS:
            _fit(model.set_params(C=strength), features, truth[fit_rows])
            metrics = measure(truth[held_rows], _answer(model, held, labels))
            rank = (metrics["macro_f1"], -metrics["log_loss"])
            found.append((rank, _Choice(strength, balanced)))
    return max(found, key=lambda ranked: ranked[0])[1]


def _part(truth: Ints, seed: int) -> tuple[Ints, Ints]:
    """Training rows to fit and to hold out, in even shares of every label."""
    shuffled = np.lexsort((np.random.default_rng(seed).random(len(truth)), truth))
    stride = -(-len(shuffled) // CHOICE_ROWS)
    taken = shuffled[::stride]
    held = np.arange(len(taken)) % _CHOICE_FOLDS == _CHOICE_FOLDS - 1
    return taken[~held], taken[held]


def _is_skewed(truth: Ints) -> bool:
    counts = np.unique(truth, return_counts=True)[1]
    return bool(counts.max() > _SKEW * counts.min())


def vectorizer_for(labels: int) -> Any:
    """TF-IDF of words and word pairs, of no more terms than `labels` regressions can weigh."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    terms = max(_FEWEST_TERMS, min(_MOST_TERMS, _MOST_WEIGHTS // labels))
    # a mark that is no letter is a word of its own, so that no text is without words
    pattern = r"(?u)\w+|[^\w\s]"
    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=pattern, max_features=terms, dtype=np.float32
    )


def _regression(chosen: _Choice) -> Any:
    from sklearn.linear_model import LogisticRegression

    weights = "balanced" if chosen.balanced else None
    # as good as lbfgs on sparse text, in a tenth of the time and without its history in memory
    return LogisticRegression(
        C=chosen.strength, class_weight=weights, solver="newton-cg", max_iter=_ITERATIONS, warm_start=True
    )


def _fit(model: Any, features: Any, truth: Ints) -> Any:
    with warnings.catch_warnings():
        # a search stopped at its limit costs the rival next to nothing, and users cannot act on it
        warnings.simplefilter("ignore")
        return model.fit(features, truth)


def _answer(model: Any, features: Any, labels: int) -> Floats:
    probabilities = np.zeros((features.shape[0], labels))
    probabilities[:, model.classes_] = model.predict_proba(features)
    return probabilities
