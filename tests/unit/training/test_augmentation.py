"""What is made of a text each time it is trained on, and that held-out texts are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models import save_tiny_base
from tunesmith.model.encode import Encoded, Ids
from tunesmith.model.load import Classifier, load_classifier
from tunesmith.predict import Predictor
from tunesmith.training.augmentation import Augmentation
from tunesmith.training.objective import Classification, LabelObjective, MultiLabelClassification

TEXTS = ["the striker scored", "parliament", "the coach praised the team as the match began"]
WEIGHTS = np.array([1.0, 3.0])


def _objective(
    classifier: Classifier, ids: list[int], encoded: Encoded | None = None, **options: Any
) -> LabelObjective:
    encoded = encoded or Predictor(classifier, 32).encode(TEXTS)
    pad_token_id, augmentation = classifier.tokenizer.pad_token_id, Augmentation(**options)
    if not classifier.multi_label:
        return Classification(encoded, ids, pad_token_id, WEIGHTS, augmentation)
    targets = np.eye(2, dtype=np.bool_)[ids]
    return MultiLabelClassification(encoded, targets, pad_token_id, WEIGHTS, augmentation)


def _classifier(directory: Path, kind: Any = "single_label", architecture: str = "gpt2") -> Classifier:
    base = save_tiny_base(directory / architecture, architecture)
    classifier = load_classifier(str(base), ("a", "b"), kind=kind, seed=1, dropout=0.0)
    classifier.model.train()
    return classifier


@pytest.mark.parametrize(
    ("kind", "share", "architecture"),
    [("single_label", 0.25, "gpt2"), ("multi_label", 1.0, "llama"), ("single_label", 1.0, "gptj")],
)
def test_every_beginning_of_a_text_is_an_example(
    tmp_path: Path, kind: str, share: float, architecture: str
) -> None:
    classifier, ids = _classifier(tmp_path, kind, architecture), [0, 1, 1]
    plain, replicated = _objective(classifier, ids), _objective(classifier, ids, target_replication=share)
    expected = 0.0
    for row, label in enumerate(ids):
        beginnings = _beginnings(plain.encoded[row])
        each = _objective(classifier, [label] * len(beginnings), beginnings)
        losses = [each.loss(classifier.model, [number]).item() for number in range(len(beginnings))]
        replicated_loss = np.average(losses, weights=np.arange(1, len(losses) + 1))
        expected += share * float(replicated_loss) + (1 - share) * losses[-1]
    rows = [0, 1, 2]
    assert replicated.loss(classifier.model, rows).item() == pytest.approx(expected, rel=1e-4)
    assert replicated.weight(rows) == plain.weight(rows)


def _beginnings(tokens: Ids) -> Encoded:
    rows = [tokens[: end + 1] for end in range(len(tokens))]
    starts = np.cumsum([0, *map(len, rows)])
    return Encoded(np.concatenate(rows), starts, np.zeros(len(rows), np.bool_))


def test_held_out_texts_are_asked_once_and_whole(tmp_path: Path) -> None:
    classifier = _classifier(tmp_path)
    model = classifier.model.eval()
    plain = _objective(classifier, [0, 1, 1])
    augmented = _objective(classifier, [0, 1, 1], target_replication=1.0, token_dropout=0.5)
    assert torch.equal(augmented.loss(model, [0, 2]), plain.loss(model, [0, 2]))


def test_tokens_are_left_out_by_the_seed_of_the_step(tmp_path: Path) -> None:
    classifier = _classifier(tmp_path)
    objective = _objective(classifier, [0, 1, 1], token_dropout=0.5)

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return objective.loss(classifier.model, [0, 1, 2]).item()

    assert loss(1) == loss(1)
    assert len({loss(seed) for seed in range(5)}) > 1


def test_a_share_of_the_tokens_goes_and_one_always_stays() -> None:
    torch.manual_seed(0)
    ids = np.arange(10_000, dtype=np.int32)
    kept = Augmentation(token_dropout=0.3).of_text(ids)
    assert 6_800 < len(kept) < 7_200
    assert (np.diff(kept) > 0).all(), "in their order"
    assert Augmentation(token_dropout=0.99).of_text(ids[:3]).size
    assert Augmentation().of_text(ids) is ids
