"""Which labels are probably wrong: what the other rows say of each, against what it bears.

A regression on the words of the texts answers each row from folds without it. Confident learning (Northcutt,
Jiang and Chuang, 2021; the cleanlab library) tells from these probabilities which rows are likely wrong,
how many, and which labels the data itself confuses.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.audit.types import Confused, Doubt, LabelNoise
from tunesmith.audit.words import texts_of, word_features
from tunesmith.data.facts import Facts, Rows
from tunesmith.data.problems import excerpt, shown
from tunesmith.data.texts import EMPTY_KEY

__all__ = ["MOST_ROWS", "label_noise"]

MOST_ROWS = 50_000
"""Of more rows a random sample is looked at."""
_FOLDS = 5
_FEWEST_ROWS, _FEWEST_OF_LABEL = 50, 10
# few labels of a text are learned one by one, in a fit for each fold
_MOST_LABELS_OF_SEVERAL = 40
_STRENGTH = 3.0
_ITERATIONS = 200
_MOST_TOLD, _MOST_CONFUSED = 500, 10
_LEAST_CONFUSED = 0.005

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


def label_noise(facts: Facts, seed: int) -> LabelNoise | None:
    """Rank the labels that are probably wrong; None where there are too few rows, or labels, to tell."""
    rows = _looked_at(facts, seed)
    several = facts.dataset.task.kind == "multi_label"
    labels = _frequent(facts, rows)
    if rows.size < _FEWEST_ROWS or len(labels) < (1 if several else 2):
        return None
    return (_of_several if several else _of_one)(facts, rows, labels, seed)


def _looked_at(facts: Facts, seed: int) -> Rows:
    """The first row of each text that has a target: its copies would bear witness for it."""
    order, first = facts.grouped
    rows = np.sort(order[first])
    rows = rows[(facts.keys[rows] != EMPTY_KEY) & (facts.codes[rows] >= 0)]
    if rows.size > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    return rows


def _frequent(facts: Facts, rows: Rows) -> list[str]:
    """The labels that enough of the rows bear."""
    borne = facts.borne[np.isin(facts.bearers, rows)]
    counts = np.bincount(borne, minlength=len(facts.labels))
    return [
        label for label, count in zip(facts.labels, counts.tolist(), strict=True) if count >= _FEWEST_OF_LABEL
    ]


def _of_one(facts: Facts, rows: Rows, labels: list[str], seed: int) -> LabelNoise | None:
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues

    place = {facts.labels.index(label): at for at, label in enumerate(labels)}
    ids = np.array([place.get(code, -1) for code in facts.codes[rows].tolist()])
    rows, ids = rows[ids >= 0], ids[ids >= 0]
    texts = texts_of(facts.dataset, rows)
    probabilities = _held_out_probabilities(word_features(texts, pairs=True)[0], ids, seed)
    ranked = find_label_issues(ids, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    likely = probabilities.argmax(axis=1)
    doubts = [
        _doubt(facts, rows[at], texts[at], (labels[ids[at]], labels[likely[at]]), probabilities[at, ids[at]])
        for at in ranked[:_MOST_TOLD].tolist()
    ]
    doubtful = int(num_label_issues(ids, probabilities))
    return LabelNoise(rows.size, doubtful, tuple(doubts), tuple(_confused(ids, probabilities, labels)))


def _held_out_probabilities(features: Any, ids: Ids, seed: int) -> Floats:
    """(rows, labels) of each row, by a regression that has learned from other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    model = LogisticRegression(C=_STRENGTH, solver="newton-cg", max_iter=_ITERATIONS)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # a search that stopped at its limit is near enough here
        warnings.simplefilter("ignore")
        found: Floats = cross_val_predict(model, features, ids, cv=folds, method="predict_proba")
    return found


def _doubt(facts: Facts, row: np.int64, text: str, labels: tuple[str, str], probability: float) -> Doubt:
    return Doubt(facts.where(row), excerpt(text), *labels, float(probability))


def _confused(ids: Ids, probabilities: Floats, labels: Sequence[str]) -> Iterator[Confused]:
    """Pairs of labels, the most confused first."""
    from cleanlab.dataset import find_overlapping_classes

    table = find_overlapping_classes(ids, probabilities, asymmetric=False)
    columns = ("Class Index A", "Class Index B", "Joint Probability")
    for first, second, share in table[list(columns)].head(_MOST_CONFUSED).itertuples(index=False):
        if share >= _LEAST_CONFUSED:
            yield Confused(labels[first], labels[second], float(share))


def _of_several(facts: Facts, rows: Rows, labels: list[str], seed: int) -> LabelNoise | None:
    from cleanlab.multilabel_classification.filter import find_label_issues

    counts = facts.counts
    labels = sorted(labels, key=lambda label: -counts[label])[:_MOST_LABELS_OF_SEVERAL]
    borne = _matrix(facts, rows, labels)
    texts = texts_of(facts.dataset, rows)
    features = word_features(texts, pairs=False)[0]
    probabilities = np.column_stack(
        [_held_out_probabilities(features, column.astype(np.int64), seed)[:, 1] for column in borne.T]
    )
    given = [np.flatnonzero(row).tolist() for row in borne]
    ranked = find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    surprise = np.abs(borne - probabilities)
    doubted = surprise.argmax(axis=1)
    doubts = [
        _doubt(
            facts,
            rows[at],
            texts[at],
            _missed(labels[doubted[at]], bool(borne[at, doubted[at]])),
            1 - surprise[at, doubted[at]],
        )
        for at in ranked[:_MOST_TOLD].tolist()
    ]
    return LabelNoise(rows.size, len(ranked), tuple(doubts), ())


def _matrix(facts: Facts, rows: Rows, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(rows, labels) which of the labels each row bears."""
    place = np.full(len(facts.labels), -1)
    place[[facts.labels.index(label) for label in labels]] = np.arange(len(labels))
    matrix = np.zeros((rows.size, len(labels)), np.bool_)
    at = np.searchsorted(rows, facts.bearers)
    kept = np.isin(facts.bearers, rows) & (place[facts.borne] >= 0)
    matrix[at[kept], place[facts.borne[kept]]] = True
    return matrix


def _missed(label: str, given: bool) -> tuple[str, str]:
    """What is said of a label that is doubted, and of one that is missed."""
    name = shown(label)
    return (label, f"without {name}") if given else (f"without {name}", label)
