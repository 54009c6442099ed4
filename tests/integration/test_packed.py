from __future__ import annotations

import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.kernels import BOTH_WAYS, compute_by
from tests.models import ARCHITECTURES, save_tiny_base
from tunesmith.model.encode import Ids, pad
from tunesmith.model.layers import linear_layers
from tunesmith.model.load import load_classifier
from tunesmith.model.packed import can_pack, lower_states, packed_features, packed_logits, upper_features

LENGTHS = [1, 2, 3, 7, 9, 20, 63]


@pytest.fixture(params=BOTH_WAYS, autouse=True)
def computed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_by(request.param, monkeypatch)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    name: str = request.param
    base = save_tiny_base(tmp_path_factory.mktemp("base") / name, name)
    model = load_classifier(str(base), ("a", "b", "c"), dropout=0.0).model
    return model.double().eval()


def _rows(count: int, seed: int) -> list[Ids]:
    random = np.random.default_rng(seed)
    lengths = random.permutation(LENGTHS)[:count]
    return [random.integers(1, 300, length).astype(np.int32) for length in lengths]


@pytest.fixture(scope="module")
def own(model: Any) -> Any:
    """The same model as transformers itself makes it."""
    own = type(model)(model.config).double().eval()
    own.load_state_dict(model.state_dict())
    return own


def _own(model: Any, rows: list[Ids]) -> torch.Tensor:
    ids, mask = pad(rows, model.config.pad_token_id)
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return logits


def _gradients(model: Any, logits: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits)
    torch.autograd.backward((logits * weights).sum())
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.fixture(scope="module")
def adapted(model: Any) -> Any:
    """A copy of the model in PEFT's own wrapper, with adapters that are not zero."""
    from peft import LoraConfig, get_peft_model

    targets = sorted({name.rpartition(".")[2] for name in linear_layers(model)})
    config = LoraConfig(
        r=4,
        target_modules=targets,
        modules_to_save=["score"],
        init_lora_weights=False,
        fan_in_fan_out=model.config.model_type == "gpt2",
    )
    torch.manual_seed(0)
    with warnings.catch_warnings():
        # PEFT's wrapper asks transformers for a name that is on its way out
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(deepcopy(model), config).double().eval()


def _assert_equal(model: Any, own: Any, rows: list[Ids]) -> None:
    assert can_pack(model)
    # GPT-Neo computes its attention weights in fp32 whatever its weights are
    exact = 1e-5 if model.config.model_type == "gpt_neo" else 1e-9
    assert (_own(own, rows) - packed_logits(model, rows)).abs().max() < exact
    expected, found = _gradients(own, _own(own, rows)), _gradients(model, packed_logits(model, rows))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert (gradient - found[name]).abs().max() < exact, name


@pytest.mark.parametrize("count", range(1, 8))
def test_packed_equals_the_models_own_forward_and_backward(model: Any, own: Any, count: int) -> None:
    _assert_equal(model, own, _rows(count, seed=count))


@pytest.mark.parametrize("count", [1, 3, 7])
def test_packed_equals_with_adapters(adapted: Any, model: Any, count: int) -> None:
    rows = _rows(count, seed=count)
    _assert_equal(adapted, adapted, rows)
    assert (packed_logits(adapted, rows) - packed_logits(model, rows)).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "layer"), [("gpt2", "attn.c_attn"), ("gpt_neo", "attn.attention.k_proj")])
def test_the_last_block_makes_no_keys_for_one_query_a_text(
    name: str, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = save_tiny_base(tmp_path / "base", name)
    model = load_classifier(str(base), ("a", "b"), dropout=0.0).model.eval()
    calls: list[int] = []
    last = model.transformer.h[-1].get_submodule(layer)
    forward = type(last).forward

    def counted(self: Any, states: torch.Tensor) -> Any:
        calls.extend([1] * (self is last))
        return forward(self, states)

    # a hook would not do: a layer that has one is called for it
    monkeypatch.setattr(type(last), "forward", counted)
    packed_logits(model, _rows(3, seed=0))
    assert not calls
    packed_logits(model, _rows(3, seed=0), every_token=True)
    assert calls == [1]


@pytest.mark.parametrize("blocks", [0, 1])
def test_blocks_may_be_run_in_two_parts(model: Any, blocks: int) -> None:
    rows = _rows(7, seed=1)
    lower = torch.cat([lower_states(model, [row], blocks) for row in rows])
    features = upper_features(model, lower, [len(row) for row in rows], blocks)
    assert torch.allclose(features, packed_features(model, rows), rtol=0, atol=1e-6)
    assert torch.allclose(features, _padded_features(model, rows), rtol=0, atol=1e-6)


def test_every_token_is_answered_as_the_last_of_its_beginning(model: Any) -> None:
    rows = _rows(5, seed=2)
    beginnings = [row[: end + 1] for row in rows for end in range(len(row))]
    found = packed_logits(model, rows, every_token=True)
    assert torch.allclose(found, packed_logits(model, beginnings), rtol=0, atol=1e-5)
    states = torch.cat([lower_states(model, [row], 1) for row in rows])
    upper = upper_features(model, states, [len(row) for row in rows], 1, every_token=True)
    assert torch.allclose(model.score(upper), found, rtol=0, atol=1e-5)


def _padded_features(model: Any, rows: list[Ids]) -> torch.Tensor:
    ids, mask = pad(rows, model.config.pad_token_id)
    states = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
    return torch.stack([state[len(row) - 1] for state, row in zip(states, rows, strict=True)])
