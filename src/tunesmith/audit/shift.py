"""Whether a held-out set is like the training rows: can a classifier tell them apart?"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.audit.types import LabelShare, Shift
from tunesmith.audit.words import texts_of, word_features
from tunesmith.data.facts import Facts, Rows
from tunesmith.data.texts import EMPTY_KEY, among
from tunesmith.evaluation.metrics import NORMAL_975

__all__ = ["auc_interval", "shift_between"]

_FOLDS = 5
_FEWEST_TEXTS, _MOST_TEXTS = 50, 10_000
_TELLING_WORDS = 8
_MOST_LABELS = 10
_LEAST_DIFFERENCE = 0.001

Floats = npt.NDArray[np.float64]


def shift_between(train: Facts, name: str, held_out: Facts, seed: int) -> Shift | None:
    """Compare a held-out set with the training rows; None where one has fewer than fifty texts of its own.

    Texts that stand in both sets are left out: they would hide what differs.
    """
    sets = [
        _drawn(train, ~among(train.keys, held_out.keys), seed),
        _drawn(held_out, ~among(held_out.keys, train.keys), seed),
    ]
    if min(rows.size for rows in sets) < _FEWEST_TEXTS:
        return None
    texts = [*texts_of(train.dataset, sets[0]), *texts_of(held_out.dataset, sets[1])]
    truth = np.repeat([0, 1], [rows.size for rows in sets])
    auc, telling = _told_apart(texts, truth, seed)
    low, high = auc_interval(auc, *(rows.size for rows in sets))
    return Shift(name, truth.size, auc, low, high, *telling, _label_shares(train, held_out))


def _drawn(facts: Facts, own: npt.NDArray[np.bool_], seed: int) -> Rows:
    order, first = facts.grouped
    begins = np.zeros(own.size, np.bool_)
    begins[order[first]] = True
    rows = np.flatnonzero(own & begins & (facts.keys != EMPTY_KEY))
    if rows.size > _MOST_TEXTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST_TEXTS, replace=False))
    return rows


def _told_apart(
    texts: list[str], truth: npt.NDArray[np.int64], seed: int
) -> tuple[float, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The AUC over held-out folds, and the words that speak most for each side."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    features, vectorizer = word_features(texts, pairs=False)
    model = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=seed)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # near enough where the search stops at its limit
        chances = cross_val_predict(model, features, truth, cv=folds, method="decision_function")
        model.fit(features, truth)
    return float(roc_auc_score(truth, chances)), _telling(model.coef_[0], vectorizer)


def _telling(weights: Floats, vectorizer: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    words, order = vectorizer.get_feature_names_out(), np.argsort(weights)
    return tuple(words[order[:_TELLING_WORDS]]), tuple(words[order[: -_TELLING_WORDS - 1 : -1]])


def auc_interval(auc: float, first: int, second: int) -> tuple[float, float]:
    """The 95 % interval of the AUC of two sets of these sizes, by Hanley and McNeil (1982)."""
    pairs, both = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    variance = (auc * (1 - auc) + (second - 1) * pairs + (first - 1) * both) / (first * second)
    reach = NORMAL_975 * math.sqrt(max(0.0, variance))
    return max(0.0, auc - reach), min(1.0, auc + reach)


def _label_shares(train: Facts, held_out: Facts) -> tuple[LabelShare, ...]:
    """The labels whose shares differ by a thousandth or more, the most different first."""
    ours, theirs = (_shares(facts) for facts in (train, held_out))
    shares = [LabelShare(label, ours.get(label, 0), theirs.get(label, 0)) for label in ours | theirs]
    told = [each for each in shares if abs(each.train - each.held_out) >= _LEAST_DIFFERENCE]
    return tuple(sorted(told, key=lambda each: -abs(each.train - each.held_out))[:_MOST_LABELS])


def _shares(facts: Facts) -> dict[str, float]:
    rows = max(1, int((facts.codes >= 0).sum()))
    return {label: count / rows for label, count in facts.counts.items()}
