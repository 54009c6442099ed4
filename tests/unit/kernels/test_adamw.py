from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from tests.kernels import compute_by, need_kernels, turn_off
from tunesmith.kernels.adamw import AdamW

SHAPES = [(3,), (40, 50), (1,), (130, 257), (7, 11), (20_000,)]


@pytest.fixture(autouse=True)
def kernels() -> None:
    need_kernels()


def _weights(dtype: torch.dtype) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in SHAPES]


def _optimizer(kind: Any, weights: list[torch.nn.Parameter]) -> Any:
    groups = [{"params": weights[:3], "weight_decay": 0.0}, {"params": weights[3:], "weight_decay": 0.1}]
    return kind(groups, lr=0.01, betas=(0.8, 0.95), fused=True)


def _gradients(weights: list[torch.nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for weight in weights:
        drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        weight.grad = (drawn * 10.0 ** (step - 3)).to(weight.dtype)


def _steps(kind: Any, dtype: torch.dtype, most: float) -> tuple[list[torch.Tensor], list[float], Any]:
    weights = _weights(dtype)
    optimizer, norms = _optimizer(kind, weights), []
    for step in range(6):
        _gradients(weights, step)
        norm = optimizer.clip(weights, most) if kind is AdamW else None
        if norm is None:
            norm = torch.nn.utils.clip_grad_norm_(weights, most)
        optimizer.step()
        optimizer.zero_grad()
        norms.append(float(norm))
    return [weight.detach() for weight in weights], norms, optimizer


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("most", [1.0, 1e9])
@pytest.mark.parametrize("way", ["kernels", "torch"])
def test_steps_are_torchs(
    dtype: torch.dtype, near: float, most: float, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, norms, _ = _steps(torch.optim.AdamW, dtype, most)
    compute_by(way, monkeypatch)
    found, found_norms, optimizer = _steps(AdamW, dtype, most)
    assert found_norms == pytest.approx(norms, rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() < near
    assert optimizer.state[optimizer.param_groups[0]["params"][0]]["step"] == 6


@pytest.mark.parametrize("after", ["kernels", "torch"])
def test_states_go_from_one_to_the_other(after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = "torch" if after == "kernels" else "kernels"
    weights, others = _weights(torch.float64), _weights(torch.float64)
    optimizer, expected = _optimizer(AdamW, weights), _optimizer(torch.optim.AdamW, others)
    for step in range(4):
        with monkeypatch.context() as patch:
            compute_by(before if step < 2 else after, patch)
            for stepper, held in ((optimizer, weights), (expected, others)):
                _gradients(held, step)
                stepper.step()
        if step == 1:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = _optimizer(AdamW, weights)
            optimizer.load_state_dict(saved)
    for one, other in zip(weights, others, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("way", ["kernels", "torch"])
def test_a_group_without_gradients_is_passed_over(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = _weights(torch.float64)
    optimizer = _optimizer(AdamW, weights)
    before = [weight.detach().clone() for weight in weights]
    _gradients(weights[3:], 5)
    assert optimizer.clip(weights, 1.0) is not None
    compute_by(way, monkeypatch)
    optimizer.step()
    assert [torch.equal(*pair) for pair in zip(before, weights, strict=True)] == [True] * 3 + [False] * 3


def test_threads_change_no_bit() -> None:
    alone, norms, _ = _steps(AdamW, torch.float32, 1.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        together, more_norms, _ = _steps(AdamW, torch.float32, 1.0)
    finally:
        torch.set_num_threads(threads)
    assert norms == more_norms
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_what_is_no_number_is_told_by_the_norm() -> None:
    weights = _weights(torch.float32)
    optimizer = _optimizer(AdamW, weights)
    for bad in (float("nan"), float("inf")):
        _gradients(weights, 0)
        gradient = weights[1].grad
        assert gradient is not None
        gradient[3, 4] = bad
        norm = optimizer.clip(weights, 1.0)
        assert norm is not None
        assert not torch.tensor(norm).isfinite()


def test_a_gradient_in_pieces_is_left_to_torch() -> None:
    weights, others = _weights(torch.float64), _weights(torch.float64)
    for held, kind in ((weights, AdamW), (others, torch.optim.AdamW)):
        optimizer = _optimizer(kind, held)
        _gradients(held, 0)
        held[3].grad = torch.ones(257, 130, dtype=torch.float64).t()
        if kind is AdamW:
            assert optimizer.clip(held, 1.0) is None
        optimizer.step()
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(weights, others, strict=True))


def test_a_step_that_torch_takes_is_clipped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _, _ = _steps(torch.optim.AdamW, torch.float64, 1.0)
    weights = _weights(torch.float64)
    optimizer = _optimizer(AdamW, weights)
    for step in range(6):
        _gradients(weights, step)
        assert optimizer.clip(weights, 1.0) is not None
        with monkeypatch.context() as patch:
            turn_off(patch)
            optimizer.step()
        optimizer.zero_grad()
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(weights, expected, strict=True))
