"""Logistic regression on features, its penalty chosen by cross-validation: what several rivals learn with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.metrics import measure
from tunesmith.evaluation.one_vs_rest import Learned, learn_several
from tunesmith.evaluation.types import Floats, Ints

__all__ = ["FOLDS", "learn", "teaches"]

FOLDS = 3
_SKEW = 3
_ITERATIONS = 200
# macro-F1 that differs by less is chance: then log-loss, which is smoother, decides
_AS_GOOD = 0.01


def teaches(rows: Dataset) -> bool:
    """Whether there is something to learn: a word, and where a text has one label, two of them."""
    several = rows.task.kind == "multi_label"
    return any(text.strip() for text in rows.texts) and (several or len(np.unique(rows.label_ids)) > 1)


def learn(features: Any, rows: Dataset, seed: int, strengths: Sequence[float], choice_rows: int) -> Learned:
    """Fit on `features` (rows, terms), sparse or not, with the C among `strengths` that does best.

    It is chosen on at most `choice_rows` rows.
    """
    if rows.task.kind == "multi_label":
        return learn_several(features, rows, seed, strengths, choice_rows)
    truth, labels = np.asarray(rows.label_ids, dtype=np.int64), len(rows.task.labels)
    chosen = _choose(features, truth, labels, seed, strengths, choice_rows)
    model = _fit(_regression(chosen), features, truth)
    size = 4 * (model.coef_.size + model.intercept_.size)
    return Learned(lambda asked: (_answer(model, asked, labels), None), _how(chosen), size)


@dataclass(frozen=True, slots=True)
class _Choice:
    strength: float
    balanced: bool


def _how(chosen: _Choice) -> str:
    weights = ", labels weighted by inverse frequency" if chosen.balanced else ""
    return f"(C = {chosen.strength:g}{weights}, chosen by cross-validation on training rows)"


def _choose(
    features: Any, truth: Ints, labels: int, seed: int, strengths: Sequence[float], choice_rows: int
) -> _Choice:
    """The strength and weighting that do best on rows that were left out of the fit, each once."""
    taken, fold = _folds(truth, seed, choice_rows)
    found: dict[_Choice, dict[str, float]] = {}
    for balanced in (False, True) if _is_skewed(truth) else (False,):
        answers = _held_out(features[taken], truth[taken], fold, labels, strengths, balanced)
        for strength, probabilities in zip(strengths, answers, strict=True):
            found[_Choice(strength, balanced)] = measure(truth[taken], probabilities)
    best = max(metrics["macro_f1"] for metrics in found.values())
    as_good = [choice for choice, metrics in found.items() if metrics["macro_f1"] > best - _AS_GOOD]
    return min(as_good, key=lambda choice: found[choice]["log_loss"])


def _folds(truth: Ints, seed: int, most: int) -> tuple[Ints, Ints]:
    """The rows that a choice is made on, and the fold of each: even shares of every label."""
    shuffled = np.lexsort((np.random.default_rng(seed).random(len(truth)), truth))
    taken = shuffled[:: -(-len(shuffled) // most)]
    return taken, np.arange(len(taken)) % FOLDS


def _held_out(
    features: Any, truth: Ints, fold: Ints, labels: int, strengths: Sequence[float], balanced: bool
) -> Floats:
    """(strengths, rows, labels) what each row is answered by a fit on the other folds."""
    answers = np.full((len(strengths), len(truth), labels), 1 / labels)
    for held in np.unique(fold):
        seen, unseen = fold != held, fold == held
        if len(np.unique(truth[seen])) < 2:
            continue
        # each fit starts from the last one's weights
        model = _regression(_Choice(strengths[0], balanced))
        for answer, strength in zip(answers, strengths, strict=True):
            _fit(model.set_params(C=strength), features[seen], truth[seen])
            answer[unseen] = _answer(model, features[unseen], labels)
    return answers


def _is_skewed(truth: Ints) -> bool:
    counts = np.unique(truth, return_counts=True)[1]
    return bool(counts.max() > _SKEW * counts.min())


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
