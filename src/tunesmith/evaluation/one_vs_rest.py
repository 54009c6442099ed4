"""One regression a label, for texts that may have several; thresholds are fitted as the model's own are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.data.stratify import stratified
from tunesmith.evaluation.multilabel import measure_labels
from tunesmith.evaluation.types import Bools, Floats, Ints
from tunesmith.model.thresholds import Thresholds, fit_thresholds

__all__ = ["Learned", "learn_several", "parted"]

# choosing a strength costs a fit of every label each time
_FEW_LABELS = 20
_FIT, _HELD = 0.8, 0.2


@dataclass(frozen=True, slots=True)
class Learned:
    """What was fitted: features -> (probabilities, labels given where a text may have several)."""

    answer: Callable[[Any], tuple[Floats, Bools | None]]
    how: str
    """How its penalty was chosen, in words"""
    size_bytes: int


def learn_several(
    features: Any, rows: Dataset, seed: int, strengths: Sequence[float], choice_rows: int
) -> Learned:
    """Fit a regression for each label on `features` (rows, terms).

    C and the thresholds are chosen on a fifth of the rows, or of `choice_rows` of them.
    """
    truth = rows.label_matrix
    strength, thresholds = _choose(features, rows, truth, seed, strengths, choice_rows)
    models = _fit(features, truth, strength)

    def answer(asked: Any) -> tuple[Floats, Bools | None]:
        probabilities = _answer(models, asked)
        return probabilities, thresholds.given(probabilities)

    how = f"(C = {strength:g} and the thresholds were fitted on a fifth of the training rows)"
    return Learned(answer, how, 4 * truth.shape[1] * (features.shape[1] + 2))


def _choose(
    features: Any,
    rows: Dataset,
    truth: Bools,
    seed: int,
    strengths: Sequence[float],
    choice_rows: int,
) -> tuple[float, Thresholds]:
    """The strength that does best on held-out training rows, and the thresholds that go with it."""
    fitted, held = parted(rows, seed, choice_rows)
    tried = strengths if truth.shape[1] <= _FEW_LABELS else strengths[2::2]
    if not len(held):
        return strengths[0], Thresholds.unfitted(truth.shape[1])
    found = []
    for strength in tried:
        probabilities = _answer(_fit(features[fitted], truth[fitted], strength), features[held])
        thresholds = fit_thresholds(truth[held], probabilities)
        metrics = measure_labels(truth[held], probabilities, thresholds.given(probabilities))
        found.append(((metrics["macro_f1"], -metrics["log_loss"]), strength, thresholds))
    return max(found, key=lambda ranked: ranked[0])[1:]


def parted(rows: Dataset, seed: int, most: int) -> tuple[Ints, Ints]:
    """Rows to fit and to hold out, in even shares of every label; no more than `most` together."""
    labels = rows.target_lists
    taken = np.random.default_rng(seed).permutation(len(labels))[:most]
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
