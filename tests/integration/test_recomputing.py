"""Activations that are computed twice give the gradients of those that are kept, whatever is dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import tunesmith as ts
from tests.kernels import turn_off
from tests.models import ARCHITECTURES, save_tiny_base
from tunesmith.errors import ConfigError
from tunesmith.files import sha256_file
from tunesmith.model.encode import Ids, pad
from tunesmith.model.faster import use_fast_modules
from tunesmith.model.load import load_classifier
from tunesmith.model.packed import lower_states, packed_logits, upper_features
from tunesmith.model.recomputing import activation_bytes_per_token, recomputing
from tunesmith.recipe import Recipe
from tunesmith.training.methods import refuse_unfit

Forward = Callable[[Any, list[Ids]], torch.Tensor]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    name: str = request.param
    base = save_tiny_base(tmp_path_factory.mktemp("base") / name, name)
    return load_classifier(str(base), ("a", "b", "c"), dropout=0.3).model.double()


def _rows() -> list[Ids]:
    random = np.random.default_rng(0)
    return [random.integers(1, 300, length).astype(np.int32) for length in (1, 9, 20, 63)]


def _padded(model: Any, rows: list[Ids]) -> torch.Tensor:
    ids, mask = pad(rows, model.config.pad_token_id)
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return logits


def _upper(model: Any, rows: list[Ids]) -> torch.Tensor:
    states = lower_states(model, rows, 1)
    features: torch.Tensor = model.score(upper_features(model, states, [len(row) for row in rows], 1))
    return features


def _gradients(model: Any, forward: Forward, *, wanted: bool) -> tuple[dict[str, torch.Tensor], int, int]:
    """Gradients, the bytes kept for them, and a number drawn after the step."""
    kept: dict[int, int] = {}
    model.zero_grad()
    model.train()
    torch.manual_seed(3)

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)
        return tensor

    held: list[torch.Tensor] = []
    with recomputing(model, wanted):
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = forward(model, _rows()).square().sum()
        after_forward = sum(kept.values())
        torch.autograd.backward(loss)
    drawn = int(torch.randint(1 << 60, ()))
    gradients = {
        name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None
    }
    return gradients, after_forward, drawn


@pytest.mark.parametrize("forward", [packed_logits, _padded, _upper])
def test_gradients_are_the_same_with_dropout(model: Any, forward: Forward) -> None:
    expected, kept, drawn = _gradients(model, forward, wanted=False)
    found, kept_less, drawn_after = _gradients(model, forward, wanted=True)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert (gradient - found[name]).abs().max() < 1e-12, name
    assert drawn == drawn_after, "the steps that follow drop the same as well"
    assert kept_less < kept or forward is _upper, "the last block has nothing to save"
    assert not model.base_model.gradient_checkpointing


def test_in_evaluation_nothing_is_computed_twice(model: Any) -> None:
    model.eval()
    with recomputing(model, True), torch.no_grad():
        first = packed_logits(model, _rows())
    assert torch.equal(first, packed_logits(model, _rows()))


@pytest.mark.parametrize("length", [16, 300])
def test_the_estimate_is_near_what_is_kept_and_not_below(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(vocab_size=9, n_positions=512, n_embd=64, n_layer=8, n_head=2, pad_token_id=0)
    model = GPT2ForSequenceClassification(config).train()
    use_fast_modules(model)
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    weights = {value.data_ptr() for value in model.parameters()}

    def held() -> int:
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            packed_logits(model, [np.ones(length, np.int32)] * 2)
        return sum(each.untyped_storage().nbytes() for place, each in kept.items() if place not in weights)

    with_kernels = held()
    turn_off(monkeypatch)
    estimate = activation_bytes_per_token(model, length) * 2 * length
    assert 1.0 <= estimate / held() <= 1.6
    assert with_kernels <= held(), "kernels keep less, where there are any"


def _train(news: Path, base: Path, out: Path, method: Any, wanted: bool) -> str:
    recipe = ts.Recipe(
        base=str(base), method=method, epochs=1, dropout=0.2, gradient_checkpointing=wanted, precision="fp32"
    )
    return sha256_file(ts.train(news, recipe=recipe, out=out).model_path / "model.safetensors")


@pytest.mark.parametrize("method", ["full", "lora", "frozen"])
def test_a_run_ends_with_the_same_weights(news: Path, tiny_base: Path, tmp_path: Path, method: str) -> None:
    weights = {_train(news, tiny_base, tmp_path / str(wanted), method, wanted) for wanted in (False, True)}
    assert len(weights) == 1


def test_a_base_that_cannot_is_refused() -> None:
    base = SimpleNamespace(supports_gradient_checkpointing=False, config=SimpleNamespace(model_type="odd"))
    recipe = Recipe(method="full", gradient_checkpointing=True)
    with pytest.raises(ConfigError, match="no-gradient-checkpointing"):
        refuse_unfit(recipe, base)
    assert activation_bytes_per_token(base, 9) == 0
