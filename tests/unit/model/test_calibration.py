"""The temperature: found again where it is known, and bounded where rows are few and right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tunesmith.model.calibration import cool, fit_label_temperature, fit_temperature
from tunesmith.model.forward import sigmoid, softmax


def drawn(rows: int, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and label ids drawn with just their probabilities."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 2, (rows, labels))
    shares = softmax(logits).cumsum(axis=1)
    return logits, (chance.random((rows, 1)) > shares[:, :-1]).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("labels", [2, 5])
def test_a_known_temperature_is_found_again(temperature: float, labels: int) -> None:
    logits, ids = drawn(20_000, labels, seed=labels)
    assert fit_temperature(logits * temperature, ids) == pytest.approx(temperature, rel=0.05)


def test_rows_that_are_all_right_do_not_make_certain() -> None:
    ids = np.arange(60) % 3
    logits = np.eye(3)[ids]
    sure = softmax(logits / fit_temperature(logits, ids))[np.arange(60), ids]
    assert 0.95 < sure.min() < 1 - 1 / 124


def test_logits_that_say_nothing_are_made_to_say_little() -> None:
    chance = np.random.default_rng(0)
    logits, ids = chance.normal(0, 5, (500, 4)), chance.integers(0, 4, 500)
    assert softmax(logits / fit_temperature(logits, ids)).max() < 0.6


def test_a_head_is_cooled_with_its_bias() -> None:
    head = torch.nn.Linear(4, 3)
    features = torch.randn(5, 4)
    before = head(features)
    cool(head, 2.5)
    assert torch.allclose(head(features), before / 2.5, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_of_several_labels_is_found_again(temperature: float) -> None:
    chance = np.random.default_rng(1)
    logits = chance.normal(-1, 2, (5_000, 4))
    truth = chance.random(logits.shape) < sigmoid(logits)
    assert fit_label_temperature(logits * temperature, truth) == pytest.approx(temperature, rel=0.05)


def test_several_labels_that_are_all_right_do_not_become_certain() -> None:
    truth = np.random.default_rng(0).random((60, 3)) < 0.3
    logits = np.where(truth, 1.0, -1.0)
    sure = sigmoid(logits / fit_label_temperature(logits, truth))
    assert 0.9 < np.where(truth, sure, 1 - sure).min() < 1


def test_it_never_makes_the_log_loss_worse_than_the_logits_were() -> None:
    chance = np.random.default_rng(3)
    for _ in range(20):
        logits, truth = chance.normal(0, 1, (80, 3)), chance.random((80, 3)) < 0.2
        divided = logits / fit_label_temperature(logits, truth)
        assert _loss(divided, truth) <= _loss(logits, truth) + 5e-3


def _loss(logits: np.ndarray, truth: np.ndarray) -> float:
    of_truth = np.where(truth, sigmoid(logits), 1 - sigmoid(logits))
    return float(-np.log(of_truth).mean())
