"""Steps that go wrong: what is not finite stops the run; what does not fit into memory is cut smaller."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.training.test_loop import ROWS, SETTINGS, _figures, _fit, _model, _Regression, _weights
from tunesmith.errors import ConfigError, DataError
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.loop import Fitted, Interrupted, LoopSettings, fit
from tunesmith.training.memory import is_out_of_memory, peak_memory_bytes

SMALLER = replace(SETTINGS, micro_batch_tokens=60)


class _Small(_Regression):
    """Has memory for so many rows at once."""

    def __init__(self, most_rows: int = ROWS, error: Exception | None = None) -> None:
        super().__init__()
        self.most_rows = most_rows
        self.error = error or torch.OutOfMemoryError("CUDA out of memory.")
        self.tried: list[int] = []

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        loss = super().loss(model, rows)
        if model.training:
            self.tried.append(len(rows))
            if len(rows) > self.most_rows:
                raise self.error
        return loss


class _Poisoned(_Regression):
    """Finite losses, and gradients that are not, of one row."""

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        loss = super().loss(model, rows)
        return loss + torch.sqrt(loss * 0) if 3 in rows and model.training else loss


def _fit_with(objective: _Regression, model: Any, directory: Path, **options: Any) -> Fitted:
    settings: LoopSettings = options.pop("settings", SETTINGS)
    options.setdefault("evaluate", lambda trained: _figures(trained, objective))
    plan = Plan(objective.lengths, 4, 60, settings.seed)
    return fit(model, objective, plan, settings, checkpoints=Checkpoints(directory), **options)


def _step_of(row: int) -> tuple[int, list[int]]:
    plan = Plan(_Regression().lengths, 4, 60, SETTINGS.seed)
    return next((step, rows.tolist()) for step, _, rows in plan.steps_from(0) if row in rows)


def test_an_infinite_loss_names_its_rows_and_saves_nothing(tmp_path: Path) -> None:
    model = _model()
    step, rows = _step_of(3)
    with pytest.raises(DataError) as caught:
        _fit(model, tmp_path, bad_row=3, where=lambda row: f"a.csv:{row + 2}")
    [problem] = caught.value.problems
    assert (problem.code, problem.count) == ("bad-loss", len(rows))
    assert problem.what == f"the loss became inf at step {step + 1}"
    assert problem.where == ", ".join(f"a.csv:{row + 2}" for row in sorted(rows))
    assert "learning rate" in problem.fix
    assert not list(tmp_path.glob("step-*"))
    assert torch.isfinite(_weights(model)).all()


def test_only_the_rows_of_the_micro_batch_are_named_ten_at_most(tmp_path: Path) -> None:
    one = replace(SETTINGS, micro_batch_tokens=1)
    with pytest.raises(DataError) as caught:
        _fit(_model(), tmp_path / "a", bad_row=3, settings=one)
    assert [problem.where for problem in caught.value.problems] == ["row 3"]
    objective = _Regression(bad_row=3)
    with pytest.raises(DataError) as caught:
        plan = Plan(objective.lengths, 1, 10_000, 0)
        checkpoints = Checkpoints(tmp_path / "b")
        fit(_model(), objective, plan, SETTINGS, evaluate=lambda _: {"score": 0.0}, checkpoints=checkpoints)
    [problem] = caught.value.problems
    assert problem.where.count("row ") == 10
    assert problem.where.endswith("(and 14 more rows)")
    assert problem.count == ROWS


def test_gradients_that_are_not_finite_stop_before_the_weights_change(tmp_path: Path) -> None:
    steps = list[int]()
    model, good = _model(), _model()
    step, rows = _step_of(3)
    with pytest.raises(DataError, match="the norm of the gradients became nan") as caught:
        _fit_with(_Poisoned(), model, tmp_path / "a", on_progress=lambda told: steps.append(told.step))
    assert steps == list(range(1, step + 1))
    assert caught.value.problems[0].count == len(rows)
    if step:
        with pytest.raises(Interrupted):
            _fit(good, tmp_path / "b", should_stop=lambda: True)
    if step == 1:
        assert torch.equal(_weights(model), _weights(good))
    assert torch.isfinite(_weights(model)).all()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_checkpoint_before_a_bad_step_is_gone_on_from(tmp_path: Path) -> None:
    class Late(_Regression):
        sick = False

        def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
            return super().loss(model, rows) * (math.nan if self.sick and model.training else 1.0)

    whole, model, objective = _model(), _model(), Late()

    def evaluate(trained: Any) -> dict[str, float]:
        objective.sick = True
        return _figures(trained, objective)

    _fit(whole, tmp_path / "a")
    with pytest.raises(DataError, match="the loss became nan at step 6"):
        _fit_with(objective, model, tmp_path / "b", evaluate=evaluate)
    _fit(model, tmp_path / "b", resume=True)
    assert torch.equal(_weights(whole), _weights(model))


def test_figures_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="validation after step 5 gave"):
        _fit(_model(), tmp_path, evaluate=lambda _: {"score": 0.0, "validation_loss": math.nan})
    assert not list(tmp_path.glob("*-*"))


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = _model()

    def stop() -> bool:
        with torch.no_grad():
            next(model.parameters()).fill_(math.inf)
        return True

    with pytest.raises(DataError, match="the weights are not finite after step 1"):
        _fit(model, tmp_path, should_stop=stop)
    assert not list(tmp_path.glob("*-*"))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: not enough memory: you tried"
        ),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    ],
)
def test_memory_that_runs_out_changes_nothing_but_the_micro_batches(
    tmp_path: Path, error: Exception, packed: bool
) -> None:
    settings = replace(SETTINGS, packed=packed)
    whole, cut, said = _model(dropout=0.0), _model(dropout=0.0), list[str]()
    one_step = {"evaluate": lambda _: {"score": 0.0}, "should_stop": lambda: True, "settings": settings}
    with pytest.raises(Interrupted):
        _fit_with(_Regression(), whole, tmp_path / "a", **one_step)
    objective = _Small(2, error)
    with pytest.raises(Interrupted):
        _fit_with(objective, cut, tmp_path / "b", on_note=said.append, **one_step)
    assert torch.allclose(_weights(whole), _weights(cut), atol=1e-6)
    assert max(objective.tried) > 2
    assert len(said) == 1
    assert "memory ran out at step 1: micro-batches hold at most" in said[0]


def test_gradients_after_memory_ran_out_are_those_of_an_undisturbed_step(tmp_path: Path) -> None:
    moments = []
    for objective in (_Regression(), _Small(1)):
        directory = tmp_path / type(objective).__name__
        with pytest.raises(Interrupted):
            _fit_with(objective, _model(dropout=0.0), directory, should_stop=lambda: True)
        checkpoint = Checkpoints(directory).newest()
        assert checkpoint is not None
        # after one step the first moment is a tenth of the gradient
        moments.append({name: value for name, value in checkpoint.optimizer.items() if "exp_avg/" in name})
    assert len(moments[0]) == 4
    for name, value in moments[0].items():
        assert torch.allclose(value, moments[1][name], rtol=1e-5, atol=1e-7)


def test_the_smaller_budget_is_kept_and_resumed_exactly(tmp_path: Path) -> None:
    whole, stopped, resumed, said = _model(), _model(), _model(), list[str]()
    objective, taken = _Small(3), list[int]()
    _fit_with(objective, whole, tmp_path / "a", settings=SMALLER, on_note=said.append)
    assert 1 <= len(said) <= 3
    failures = sum(count > 3 for count in objective.tried)
    assert failures <= len(said) * 5, "once found, the budget is kept"
    with pytest.raises(Interrupted):
        _fit_with(
            _Small(3),
            stopped,
            tmp_path / "b",
            settings=SMALLER,
            on_progress=lambda told: taken.append(told.step),
            should_stop=lambda: len(taken) == 9,
        )
    # what runs out of memory no longer is cut as before: dropout depends on it
    _fit_with(_Small(), resumed, tmp_path / "b", settings=SMALLER, resume=True)
    state = Checkpoints(tmp_path / "b").newest()
    assert state is not None
    assert state.state["micro_batch_tokens"] < 60
    if len(said) == 1:
        assert torch.equal(_weights(whole), _weights(resumed))


def test_a_row_that_does_not_fit_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _fit_with(_Small(0), _model(), tmp_path, where=lambda row: f"a.csv:{row + 2}")
    [problem] = caught.value.problems
    assert problem.code == "out-of-memory"
    assert problem.where.startswith("a.csv:")
    assert not list(tmp_path.glob("step-*"))


def test_memory_that_runs_out_elsewhere_is_told(tmp_path: Path) -> None:
    def evaluate(_: Any) -> dict[str, float]:
        raise MemoryError

    with pytest.raises(ConfigError, match="nothing can be cut smaller"):
        _fit(_model(), tmp_path, evaluate=evaluate)


def test_other_errors_are_bugs_and_stay_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        _fit_with(_Small(2, RuntimeError("mat1 and mat2 shapes cannot be multiplied")), _model(), tmp_path)


def test_what_is_out_of_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes"))
    assert not is_out_of_memory(ValueError("not enough memory"))
    assert 2**24 < peak_memory_bytes() < 2**40


def test_peak_memory_is_not_that_of_who_started_the_process() -> None:
    child = "from tunesmith.training.memory import peak_memory_bytes; print(peak_memory_bytes())"
    parent = (
        "import subprocess, sys; held = b'x' * (1 << 30);"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    said = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert int(said.stdout) < 1 << 30


def test_the_allocators_own_words_are_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)
    with pytest.raises(MemoryError):
        np.empty(1 << 50)
