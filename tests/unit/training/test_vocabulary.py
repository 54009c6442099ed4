from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import loops
from tests.models import POLITICS, SPORTS, save_tiny_base
from tunesmith.model.encode import Encoded, encode
from tunesmith.model.load import load_classifier
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.loop import fit
from tunesmith.training.objective import Classification
from tunesmith.training.optimizer import weight_decay_left
from tunesmith.training.vocabulary import compact_vocabulary

SETTINGS = replace(loops.SETTINGS, micro_batch_tokens=64, weight_decay=0.1, seed=0)


def _train(base: Path, out: Path, compact: bool) -> dict[str, torch.Tensor]:
    classifier = load_classifier(str(base), ("sports", "politics"))
    encoded = encode(classifier.tokenizer, SPORTS + POLITICS, 64)
    model, pad = classifier.model, classifier.tokenizer.pad_token_id
    best = iter([1.0, 3.0, 2.0])

    def evaluate(_model: Any) -> Mapping[str, float]:
        return {"score": next(best)}

    def run() -> int:
        objective = Classification(encoded, [0, 0, 0, 1, 1, 1], pad, np.ones(2))
        plan = Plan(encoded.lengths, 3, 20, 0)
        return fit(
            model, objective, plan, SETTINGS, evaluate=evaluate, checkpoints=Checkpoints(out)
        ).best_step

    if compact:
        with compact_vocabulary(model, [encoded], pad) as others:
            assert model.get_input_embeddings().num_embeddings < 384
            best_step = run()
            steps = Plan(encoded.lengths, 3, 20, 0).total_steps
            others.decay = weight_decay_left(best_step, steps, SETTINGS)
    else:
        run()
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_weights_are_those_of_training_with_the_whole_vocabulary(
    architecture: str, tmp_path: Path
) -> None:
    base = save_tiny_base(tmp_path / "base", architecture)
    whole, compact = _train(base, tmp_path / "a", False), _train(base, tmp_path / "b", True)
    assert whole.keys() == compact.keys()
    for name, value in whole.items():
        assert torch.allclose(value, compact[name], rtol=0, atol=1e-6), name


def test_a_vocabulary_in_full_use_is_left_alone(tmp_path: Path) -> None:
    model = load_classifier(str(save_tiny_base(tmp_path / "base")), ("a", "b")).model
    size = model.get_input_embeddings().num_embeddings
    everything = np.arange(size, dtype=np.int32)
    texts = Encoded(everything, np.array([0, size]), np.array([False]))
    before = model.get_input_embeddings()
    with compact_vocabulary(model, [texts], 0):
        assert model.get_input_embeddings() is before


def test_a_token_that_was_not_kept_is_no_other_token(tmp_path: Path) -> None:
    model = load_classifier(str(save_tiny_base(tmp_path / "base")), ("a", "b")).model
    texts = Encoded(np.array([5, 9], np.int32), np.array([0, 2]), np.array([False]))
    expected = model(input_ids=torch.tensor([[5, 9]])).logits
    with compact_vocabulary(model, [texts], 0):
        assert torch.equal(model(input_ids=torch.tensor([[5, 9]])).logits, expected)
        with pytest.raises(IndexError):
            model(input_ids=torch.tensor([[5, 6]]))
    assert model(input_ids=torch.tensor([[5, 6]])).logits.isfinite().all()
