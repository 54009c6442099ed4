from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.models import ARCHITECTURES, save_tiny_base
from tunesmith.model.encode import Ids, pad
from tunesmith.model.load import load_classifier
from tunesmith.model.packed import can_pack, packed_logits

LENGTHS = [1, 2, 3, 7, 9, 20, 63]


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


@pytest.mark.parametrize("count", range(1, 8))
def test_packed_equals_the_models_own_forward_and_backward(model: Any, own: Any, count: int) -> None:
    assert can_pack(model)
    # GPT-Neo computes its attention weights in fp32 whatever its weights are
    exact = 1e-5 if model.config.model_type == "gpt_neo" else 1e-9
    rows = _rows(count, seed=count)
    assert (_own(own, rows) - packed_logits(model, rows)).abs().max() < exact
    expected, found = _gradients(own, _own(own, rows)), _gradients(model, packed_logits(model, rows))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert (gradient - found[name]).abs().max() < exact, name
