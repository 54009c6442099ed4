from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import loops
from tunesmith.errors import ConfigError, DataError
from tunesmith.recipe import Recipe
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.loop import Fitted, Interrupted, fit
from tunesmith.training.loss_scale import LossScale
from tunesmith.training.methods import refuse_unavailable
from tunesmith.training.precision import fp16_in_hardware, refuse_emulated

SETTINGS = replace(loops.SETTINGS, precision="fp16", micro_batch_tokens=10_000)


def test_only_fp16_scales() -> None:
    assert LossScale.of("fp32") == LossScale.of("bf16") == LossScale(1.0)
    assert LossScale.of("fp16").value > 1


@settings(deadline=None)
@given(st.lists(st.sampled_from([1.0, math.inf, math.nan]), max_size=12), st.sampled_from([0, 1998, 1999]))
def test_the_rule_is_that_of_torchs_scaler(norms: list[float], good_steps: int) -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    referee: Any = torch.amp.GradScaler("cpu")
    referee.load_state_dict({**referee.state_dict(), "_growth_tracker": good_steps})
    referee.scale(torch.zeros(1))
    scale = replace(LossScale.of("fp16"), good_steps=good_steps)
    for norm in norms:
        before = weight.detach().clone()
        weight.grad = torch.tensor([norm, 0.0])
        referee.unscale_(optimizer)
        referee.step(optimizer)
        referee.update()
        assert scale.backs_off(norm) == torch.equal(weight.detach(), before)
        assert (scale.value, scale.good_steps) == (referee.get_scale(), referee._get_growth_tracker())


def test_gradients_are_divided_back() -> None:
    weight, fixed = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([65536.0, -32768.0])
    LossScale.of("fp16").undo([weight, fixed])
    assert weight.grad.tolist() == [1.0, -0.5]
    assert fixed.grad is None


def test_unscaled_gradients_that_are_not_finite_are_no_fault_of_the_format() -> None:
    assert not LossScale(1.0).backs_off(math.nan)
    scale = LossScale(2.0)
    assert scale.backs_off(math.inf)
    assert scale == LossScale(1.0)
    assert not scale.backs_off(math.inf)


class _Growing:
    """A loss whose gradient is `slope` in fp16, where it overflows when it is scaled too far."""

    lengths = np.full(8, 5, np.int64)

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def weight(self, rows: Any) -> float:
        return float(len(rows))

    def loss(self, model: Any, rows: Any) -> torch.Tensor:
        states: torch.Tensor = model(torch.ones(len(rows), 4))
        assert states.dtype == torch.float16
        return (states * self.slope).sum().float()


def _fit(directory: Path, slope: float, **options: Any) -> tuple[Fitted, torch.Tensor]:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    plan = Plan(_Growing.lengths, 3, 20, 0)
    fitted = fit(
        model,
        _Growing(slope),
        plan,
        SETTINGS,
        evaluate=lambda trained: {"score": -float(trained.weight.detach().sum())},
        checkpoints=Checkpoints(directory),
        **options,
    )
    return fitted, model.weight.detach().clone()


def test_a_step_that_overflows_is_left_out_and_training_goes_on(tmp_path: Path) -> None:
    fitted, weight = _fit(tmp_path, 30.0)
    newest = Checkpoints(tmp_path).newest()
    assert newest is not None
    assert fitted.step == 6
    assert 1 < newest.state["loss_scale"] < 65536
    assert newest.state["good_steps"] == 6 - math.log2(65536 / newest.state["loss_scale"])
    assert torch.isfinite(weight).all()
    untouched, _ = _fit(tmp_path / "small", 1e-3)
    assert untouched.history[0]["train_loss"] != untouched.history[-1]["train_loss"]


def test_a_resumed_run_goes_on_with_its_scale(tmp_path: Path) -> None:
    fitted, weight = _fit(tmp_path / "whole", 30.0)
    steps = iter(range(1, 100))
    with pytest.raises(Interrupted):
        _fit(tmp_path / "stopped", 30.0, should_stop=lambda: next(steps) == 3)
    resumed, again = _fit(tmp_path / "stopped", 30.0, resume=True)
    assert torch.equal(weight, again)
    assert resumed.history == fitted.history
    states = [Checkpoints(tmp_path / name).newest() for name in ("whole", "stopped")]
    scales = [(state.state["loss_scale"], state.state["good_steps"]) for state in states if state]
    assert len(scales) == 2
    assert scales[0] == scales[1]


def test_a_loss_that_is_not_finite_is_still_a_bad_loss(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bad-loss"):
        _fit(tmp_path, math.inf)


def test_fp16_is_never_emulated() -> None:
    with pytest.raises(ConfigError, match="no-fp16"):
        refuse_emulated("fp16", lambda: False)
    refuse_emulated("fp16", lambda: True)
    refuse_emulated("auto", lambda: False)
    if not fp16_in_hardware():
        with pytest.raises(ConfigError, match="never emulated"):
            refuse_unavailable(Recipe(precision="fp16"))
