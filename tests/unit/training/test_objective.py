"""The objective of several labels: what it sums, and that accumulation changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from tunesmith.model.load import Classifier, load_classifier
from tunesmith.predict import Predictor
from tunesmith.training.objective import MultiLabelClassification, positive_weights
from tunesmith.training.start import start_at_shares

TEXTS = ["the striker scored", "parliament", "the coach praised the team as the match began", "a bill", "so"]
TARGETS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], np.bool_)


def _classifier(base: Path) -> Classifier:
    return load_classifier(str(base), ("a", "b", "c"), kind="multi_label", seed=1)


def _objective(classifier: Classifier, weights: Any) -> MultiLabelClassification:
    encoded = Predictor(classifier, 32).encode(TEXTS)
    return MultiLabelClassification(encoded, TARGETS, classifier.tokenizer.pad_token_id, weights)


def test_positive_weights_are_bounded() -> None:
    targets = np.zeros((1000, 4), np.bool_)
    targets[:1, 0] = targets[:200, 1] = targets[:900, 2] = True
    assert positive_weights(targets).tolist() == pytest.approx([10.0, 2.0, 1.0, 1.0])


def test_the_loss_is_summed_over_rows_and_labels(tiny_base: Path) -> None:
    classifier = _classifier(tiny_base)
    weights = np.array([1.0, 2.0, 3.0])
    objective = _objective(classifier, weights)
    rows = [3, 0, 2]
    assert objective.weight(rows) == 3.0
    predictor = Predictor(classifier, 32)
    probabilities = predictor.probabilities(predictor.encode([TEXTS[row] for row in rows]))
    logits = torch.logit(torch.from_numpy(probabilities))
    target, weight = torch.from_numpy(TARGETS[rows]).double(), torch.from_numpy(weights)
    expected = binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="sum")
    loss = objective.loss(classifier.model.eval(), rows).item()
    assert loss == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("groups", [[[0], [1], [2], [3], [4]], [[4, 1], [0, 3, 2]]])
def test_accumulation_changes_nothing(tiny_base: Path, groups: list[list[int]]) -> None:
    def gradient(parts: list[list[int]]) -> torch.Tensor:
        model = classifier.model.eval()
        model.zero_grad()
        for part in parts:
            torch.autograd.backward(objective.loss(model, part) / objective.weight(list(range(5))))
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    classifier = _classifier(tiny_base)
    objective = _objective(classifier, positive_weights(TARGETS))
    torch.testing.assert_close(gradient(groups), gradient([[0, 1, 2, 3, 4]]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gpt_neox"])
def test_the_head_starts_at_the_shares(tmp_path: Path, architecture: str) -> None:
    from tests.models import save_tiny_base

    classifier = _classifier(save_tiny_base(tmp_path / "base", architecture))
    predictor = Predictor(classifier, 32)
    encoded = predictor.encode(TEXTS[:1] * 3)
    targets = np.array([[1, 0, 0]] * 2 + [[1, 1, 0]], np.bool_)
    start_at_shares(classifier, encoded, targets)
    shares = predictor.probabilities(encoded)[0]
    assert shares == pytest.approx([3.5 / 4, 1.5 / 4, 0.5 / 4], abs=1e-4)
    assert not classifier.model.score._forward_pre_hooks, "nobody listens any more"
