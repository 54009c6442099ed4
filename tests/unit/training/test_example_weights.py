"""Rows that count for more or less than one: in the loss, and beside the weights of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.model.load import Classifier, load_classifier
from tunesmith.predict import Predictor
from tunesmith.training.objective import Classification, label_weights

TEXTS = ["the striker scored", "parliament", "the coach praised the team as the match began", "a bill", "so"]
LABEL_IDS = [0, 1, 0, 1, 2]
WEIGHTS = [2.0, 1.0, 0.0, 3.0, 1.0]
# the same said with rows
REPEATED = [0, 0, 1, 3, 3, 3, 4]


@pytest.fixture(scope="module")
def classifier(tiny_base: Path) -> Classifier:
    return load_classifier(str(tiny_base), ("a", "b", "c"), kind="single_label", seed=1)


def _objective(
    classifier: Classifier, rows: list[int], weights: list[float] | None, weighted: bool
) -> Classification:
    ids, counted = [LABEL_IDS[row] for row in rows], None if weights is None else np.asarray(weights)
    of_labels = label_weights(ids, 3, counted) if weighted else np.ones(3)
    encoded = Predictor(classifier, 32).encode([TEXTS[row] for row in rows])
    pad = classifier.tokenizer.pad_token_id
    return Classification(encoded, ids, pad, of_labels, example_weights=counted)


def _gradient(classifier: Classifier, objective: Classification, parts: list[list[int]]) -> Any:
    model, rows = classifier.model.eval(), [row for part in parts for row in part]
    model.zero_grad()
    for part in parts:
        torch.autograd.backward(objective.loss(model, part) / objective.weight(rows))
    return torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("parts", [[[0, 1, 2, 3, 4]], [[4, 1], [0], [3, 2]]])
def test_a_weight_is_as_many_rows(classifier: Classifier, weighted: bool, parts: list[list[int]]) -> None:
    by_weight = _objective(classifier, [0, 1, 2, 3, 4], WEIGHTS, weighted)
    by_rows = _objective(classifier, REPEATED, None, weighted)
    expected = _gradient(classifier, by_rows, [list(range(len(REPEATED)))])
    torch.testing.assert_close(_gradient(classifier, by_weight, parts), expected, rtol=1e-4, atol=1e-6)
    alike = _objective(classifier, [0, 1, 2, 3, 4], None, weighted)
    assert not torch.allclose(_gradient(classifier, alike, [[0, 1, 2, 3, 4]]), expected, rtol=1e-2)


def test_only_the_proportions_count(classifier: Classifier) -> None:
    rows, parts = [0, 1, 2, 3, 4], [[0, 1, 2, 3, 4]]
    once = _objective(classifier, rows, WEIGHTS, True)
    tenfold = _objective(classifier, rows, [10 * weight for weight in WEIGHTS], True)
    torch.testing.assert_close(_gradient(classifier, once, parts), _gradient(classifier, tenfold, parts))


def test_a_step_of_rows_that_count_for_little_moves_little(classifier: Classifier) -> None:
    even = _objective(classifier, [0, 1], None, False)
    uneven = _objective(classifier, [0, 1], [0.1, 1.9], False)
    torch.testing.assert_close(
        _gradient(classifier, uneven, [[0]]), 0.1 * _gradient(classifier, even, [[0]]), rtol=1e-4, atol=1e-8
    )


def test_the_weights_of_labels_are_by_what_counts() -> None:
    assert label_weights([0, 0, 1], 3, np.array([1.0, 1.0, 2.0])).tolist() == [1.0, 1.0, 0.0]
    assert label_weights([0, 0, 1], 2).tolist() == label_weights([0, 1], 2, np.array([2.0, 1.0])).tolist()
