from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from tunesmith.model.cross_entropy import log_shares, summed_cross_entropy


def _inputs(
    tokens: int, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    states = torch.randn(tokens, 8, generator=generator, dtype=dtype).requires_grad_()
    weight = torch.randn(50, 8, generator=generator, dtype=dtype).requires_grad_()
    return states, weight, torch.randint(50, (tokens,), generator=generator)


# below, at and over the edge of what is held at once
@pytest.mark.parametrize("tokens", [1, 1024, 1025, 2500])
def test_equals_torchs_cross_entropy(tokens: int) -> None:
    states, weight, targets = _inputs(tokens)
    expected = cross_entropy(linear(states, weight), targets, reduction="sum")
    found = summed_cross_entropy(states, weight, targets)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-12)
    wanted = torch.autograd.grad(expected / 7, (states, weight))
    # what is made of the loss afterwards counts, too
    for one, other in zip(wanted, torch.autograd.grad(found / 7, (states, weight)), strict=True):
        assert (one - other).abs().max() < 1e-10


@pytest.mark.parametrize("frozen", [0, 1])
def test_what_does_not_train_gets_no_gradient(frozen: int) -> None:
    states, weight, targets = _inputs(5)
    (states, weight)[frozen].requires_grad_(False)
    torch.autograd.backward(summed_cross_entropy(states, weight, targets))
    assert [values.grad is None for values in (states, weight)] == [frozen == 0, frozen == 1]


def test_without_gradients_it_is_the_same_number() -> None:
    states, weight, targets = _inputs(5)
    with torch.inference_mode():
        alone = summed_cross_entropy(states, weight, targets)
    assert float(alone.detach()) == float(summed_cross_entropy(states, weight, targets).detach())


def test_in_bf16_sums_and_gradients_stay_in_full_precision() -> None:
    states, weight, targets = _inputs(2000, torch.float32)
    exact = summed_cross_entropy(states, weight, targets)
    wanted = torch.autograd.grad(exact, (states, weight))
    with torch.autocast("cpu", torch.bfloat16):
        found = summed_cross_entropy(states, weight, targets)
    assert float(found.detach()) == pytest.approx(float(exact.detach()), rel=1e-2)
    for one, other in zip(wanted, torch.autograd.grad(found, (states, weight)), strict=True):
        assert other.dtype == torch.float32
        assert (one - other).norm() < 0.02 * one.norm()


def test_shares_are_of_all_tokens() -> None:
    states, weight, _ = _inputs(1500)
    parts = list(log_shares(states, weight))
    assert [len(shares) for _, shares in parts] == [1024, 476]
    assert torch.allclose(parts[1][1].exp().sum(-1), torch.ones(476, dtype=torch.float64))
