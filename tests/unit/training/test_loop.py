from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests import loops
from tests.kernels import BOTH_WAYS, compute_by, need_kernels
from tunesmith.errors import ResumeError, StorageError
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints, KeptEpochs
from tunesmith.training.loop import Fitted, Interrupted, Progress, fit
from tunesmith.training.objective import label_weights
from tunesmith.training.optimizer import learning_rate_at
from tunesmith.training.saving import put_back

SETTINGS = replace(loops.SETTINGS, learning_rate=0.05, micro_batch_tokens=10_000)
ROWS = 24


class _Regression:
    """y = x @ w with noise; rows of several lengths, and dropout, so that randomness matters."""

    def __init__(self, bad_row: int | None = None) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(ROWS, 4, generator=generator)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5, 3.0])
        if bad_row is not None:
            self.y[bad_row] = math.inf

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.arange(1, ROWS + 1, dtype=np.int64)

    def weight(self, rows: Sequence[int]) -> float:
        return float(len(rows))

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        picked = torch.tensor(list(rows))
        errors: torch.Tensor = model(self.x[picked]).squeeze(-1) - self.y[picked]
        return (errors**2).sum()


def _model(dropout: float = 0.2) -> torch.nn.Module:
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))


def _fit(model: torch.nn.Module, directory: Path, *, bad_row: int | None = None, **options: Any) -> Fitted:
    objective = _Regression(bad_row)
    settings = options.pop("settings", SETTINGS)
    options.setdefault("evaluate", lambda trained: _figures(trained, objective))
    plan = Plan(objective.lengths, 4, 60, settings.seed)
    return fit(model, objective, plan, settings, checkpoints=Checkpoints(directory), **options)


def _figures(model: Any, objective: _Regression) -> dict[str, float]:
    with torch.no_grad():
        loss = float(objective.loss(model, range(ROWS)))
    return {"score": -loss, "validation_loss": loss}


def _weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_training_lowers_the_loss_and_leaves_the_best_weights(tmp_path: Path) -> None:
    model = _model()
    before = _figures(model.eval(), _Regression())["validation_loss"]
    fitted = _fit(model, tmp_path)
    losses = [row["validation_loss"] for row in fitted.history if "validation_loss" in row]
    assert min(losses) < before / 2
    assert _figures(model, _Regression())["validation_loss"] == pytest.approx(min(losses), rel=1e-5)
    assert not model.training


def test_accumulation_changes_nothing(tmp_path: Path) -> None:
    whole, pieces = _model(dropout=0.0), _model(dropout=0.0)
    _fit(whole, tmp_path / "a")
    _fit(pieces, tmp_path / "b", settings=replace(SETTINGS, micro_batch_tokens=25))
    assert torch.allclose(_weights(whole), _weights(pieces), atol=1e-5)


@pytest.mark.parametrize("stop_after", [1, 5, 6, 11, 19])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path, stop_after: int) -> None:
    whole, stopped = _model(), _model()
    fitted = _fit(whole, tmp_path / "a")
    seen: list[int] = []
    with pytest.raises(Interrupted, match=f"after step {stop_after} of"):
        _fit(
            stopped,
            tmp_path / "b",
            on_progress=lambda progress: seen.append(progress.step),
            should_stop=lambda: len(seen) == stop_after,
        )
    resumed = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
    again = _fit(resumed, tmp_path / "b", resume=True)
    assert torch.equal(_weights(whole), _weights(resumed))
    assert again.history == fitted.history


@pytest.mark.parametrize("began", BOTH_WAYS)
def test_going_on_with_or_without_kernels_is_told(
    began: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_kernels()
    said: list[str] = []
    for way, again in ((began, False), (began, True), ("kernels" if began == "torch" else "torch", True)):
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            compute_by(way, patch)
            _fit(_model(), tmp_path, resume=again, on_note=said.append, should_stop=lambda: True)
    told = [note for note in said if "kernels" in note]
    ways = (
        "with compiled kernels and goes on without"
        if began == "kernels"
        else "without kernels and goes on with"
    )
    assert len(told) == 1
    assert told[0].startswith(f"this run began {ways} them:")


def test_without_evaluation_the_last_weights_stay(tmp_path: Path) -> None:
    whole, stopped, seen = _model(), _model(), [0]
    fitted = _fit(whole, tmp_path / "a", evaluate=None)
    assert (fitted.best_step, fitted.stopped_early) == (0, False)
    assert not any("validation_loss" in row for row in fitted.history)

    def stop() -> bool:
        seen[0] += 1
        return seen[0] == 7

    with pytest.raises(Interrupted):
        _fit(stopped, tmp_path / "b", evaluate=None, should_stop=stop)
    resumed = _model()
    assert _fit(resumed, tmp_path / "b", evaluate=None, resume=True).history == fitted.history
    assert torch.equal(_weights(whole), _weights(resumed))
    (kept,) = (tmp_path / "a").glob("step-*")
    assert kept.name == f"step-{fitted.step:08d}", "the last weights were found finite"


def test_the_last_weights_stay_where_they_are_to_be_kept(tmp_path: Path) -> None:
    unseen = _model()
    _fit(unseen, tmp_path / "unseen", evaluate=None)
    scores = iter(range(9, 0, -1))
    model, settings = _model(), replace(SETTINGS, keep="last", early_stopping=1)
    fitted = _fit(
        model, tmp_path / "seen", evaluate=lambda _: {"score": float(next(scores))}, settings=settings
    )
    # the first was the best: the validation rows chose nothing, and stopped nothing
    assert not fitted.best_step
    assert not fitted.stopped_early
    assert torch.equal(_weights(model), _weights(unseen))
    assert not list((tmp_path / "seen").glob("best-*"))


def test_who_listens_and_what_is_kept_changes_nothing(tmp_path: Path) -> None:
    plain, heard, kept = _model(), list[tuple[str, int, str]](), KeptEpochs(tmp_path / "epochs", 2)
    _fit(plain, tmp_path / "plain")
    model, after = _model(), dict[int, torch.Tensor]()

    def on_progress(progress: Progress) -> None:
        after[progress.epoch] = _weights(model).clone()

    fitted = _fit(
        model,
        tmp_path / "heard",
        on_progress=on_progress,
        on_checkpoint=lambda step, path: heard.append(("step", step, path.name)),
        on_best=lambda step, path: heard.append(("best", step, path.name)),
        epochs=kept,
    )
    assert torch.equal(_weights(model), _weights(plain))
    assert all(name == f"{kind}-{step:08d}" for kind, step, name in heard)
    assert ("step", fitted.step, f"step-{fitted.step:08d}") in heard
    assert [step for kind, step, _ in heard if kind == "best"][-1] == fitted.best_step
    # of four epochs the last two, each as it was
    assert kept.epochs == [3, 4]
    for epoch in kept.epochs:
        other = _model()
        put_back(other, kept.read(epoch))
        assert torch.equal(_weights(other), after[epoch])


@pytest.mark.parametrize("resume", [False, True])
def test_what_killed_saves_left_is_removed_where_training_begins_or_goes_on(
    tmp_path: Path, resume: bool
) -> None:
    kept, seen = KeptEpochs(tmp_path / "epochs", 2), [0]

    def stop() -> bool:
        seen[0] += 1
        return seen[0] == 7

    with pytest.raises(Interrupted):
        _fit(_model(), tmp_path / "run", epochs=kept, should_stop=stop)
    # one was killed while it wrote, one between the two renames of a replacement
    (tmp_path / "epochs" / ".epoch-0002.0123abcd.tmp").mkdir()
    (tmp_path / "epochs" / "epoch-0001").rename(tmp_path / "epochs" / ".epoch-0001.0123abcd.old")
    begun = list[list[int]]()
    _fit(
        _model(),
        tmp_path / "run",
        epochs=kept,
        resume=resume,
        on_progress=lambda _: begun.append(kept.epochs),
    )
    assert begun[0] == [1], "it was put back"
    assert [path.name for path in sorted((tmp_path / "epochs").iterdir())] == ["epoch-0003", "epoch-0004"]


def test_an_epoch_that_is_not_kept_or_damaged_is_refused(tmp_path: Path) -> None:
    kept = KeptEpochs(tmp_path / "epochs", 9)
    _fit(_model(), tmp_path / "run", epochs=kept)
    (tmp_path / "epochs" / "epoch-0002" / "model.safetensors").write_bytes(b"")
    for epoch, said in ((7, "kept are 1, 2, 3, 4"), (2, "take another")):
        with pytest.raises(StorageError) as caught:
            kept.read(epoch)
        assert caught.value.problems[0].code == "no-epoch"
        assert said in caught.value.problems[0].fix


def test_early_stopping(tmp_path: Path) -> None:
    settings = replace(SETTINGS, early_stopping=1)
    scores = iter([1.0, 0.5, 0.4, 0.3])
    fitted = _fit(_model(), tmp_path, settings=settings, evaluate=lambda _: {"score": next(scores)})
    assert fitted.stopped_early
    assert fitted.step == 2 * fitted.best_step


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    _fit(_model(), tmp_path)
    other = torch.nn.Sequential(
        torch.nn.Linear(4, 9), torch.nn.Dropout(0.2), torch.nn.Linear(9, 1, bias=False)
    )
    with pytest.raises(ResumeError) as caught:
        _fit(other, tmp_path, resume=True)
    told = {problem.what for problem in caught.value.problems}
    assert "`weights.0.weight` was [8, 4] when the run began and is [9, 4] now" in told
    assert "`weights.2.bias` was [1] when the run began and is None now" in told
    assert {problem.where for problem in caught.value.problems} == {str(tmp_path / "step-00000020")}


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    _fit(_model(), tmp_path)
    with pytest.raises(ResumeError) as caught:
        _fit(_model(), tmp_path, resume=True, settings=replace(SETTINGS, seed=2, weight_decay=0.5))
    told = {problem.what.split("`")[1] for problem in caught.value.problems}
    assert told == {"plan.seed", "settings.seed", "settings.weight_decay"}


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    _fit(_model(), tmp_path)
    checkpoints = Checkpoints(tmp_path)
    newest = checkpoints.newest()
    assert newest is not None
    checkpoints.save(replace(newest, state={name: newest.state[name] for name in ("step", "best_step")}))
    with pytest.raises(ResumeError, match="another format"):
        _fit(_model(), tmp_path, resume=True)


def test_a_damaged_checkpoint_costs_time_and_nothing_else(tmp_path: Path) -> None:
    whole, resumed, said = _model(), _model(), list[str]()
    _fit(whole, tmp_path)
    path = sorted(tmp_path.glob("step-*"))[-1]
    damaged = bytearray((path / "optimizer.safetensors").read_bytes())
    damaged[-1] ^= 4
    (path / "optimizer.safetensors").write_bytes(damaged)
    _fit(resumed, tmp_path, resume=True, on_note=said.append)
    assert torch.equal(_weights(whole), _weights(resumed))
    assert said == [
        f"the checkpoint {path.name} is damaged and passed over: "
        f"{path.name}/optimizer.safetensors is not what was written",
        "going on after step 15 of 20",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_a_disk_that_fills_up_costs_time_and_nothing_else(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole, stopped, resumed = _model(), _model(), _model()
    _fit(whole, tmp_path / "a")

    def fill(progress: Progress) -> None:
        if progress.step == 12:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))

    try:
        with pytest.raises(StorageError) as caught:
            _fit(stopped, tmp_path / "b", on_progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [problem.code for problem in caught.value.problems] == ["disk-full"]
    assert [path.name for path in sorted((tmp_path / "b").glob("step-*"))] == [
        "step-00000005",
        "step-00000010",
    ]
    _fit(resumed, tmp_path / "b", resume=True)
    assert torch.equal(_weights(whole), _weights(resumed))


def test_resuming_without_a_whole_checkpoint_says_that_it_begins_anew(tmp_path: Path) -> None:
    whole, resumed, said = _model(), _model(), list[str]()
    _fit(whole, tmp_path)
    for path in tmp_path.glob("step-*"):
        (path / "manifest.json").unlink()
    _fit(resumed, tmp_path, resume=True, on_note=said.append)
    assert torch.equal(_weights(whole), _weights(resumed))
    assert len(said) == 3
    assert "training begins at its first step" in said[-1]


def test_progress_is_told_each_step(tmp_path: Path) -> None:
    told: list[Progress] = []
    _fit(_model(), tmp_path, on_progress=told.append)
    assert [progress.step for progress in told] == list(range(1, told[-1].total_steps + 1))
    assert sum(progress.validation is not None for progress in told) == 4


def test_a_shared_tensor_is_saved_once_and_restored(tmp_path: Path) -> None:
    def tied() -> torch.nn.Module:
        torch.manual_seed(0)
        first, second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        second.weight = first.weight
        return torch.nn.Sequential(first, second, torch.nn.Linear(4, 1))

    model = tied()
    _fit(model, tmp_path)
    resumed = tied()
    _fit(resumed, tmp_path, resume=True)
    assert torch.equal(_weights(model), _weights(resumed))


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_learning_rate_rises_then_falls_to_zero(schedule: Any) -> None:
    settings = replace(SETTINGS, schedule=schedule)
    rates = [learning_rate_at(step, 100, settings) for step in range(101)]
    assert rates[9] == max(rates) == pytest.approx(0.05)
    assert rates[0] == pytest.approx(0.005)
    assert rates[100] == pytest.approx(0.0, abs=1e-9)
    assert sorted(rates[10:], reverse=True) == rates[10:]


def test_label_weights_even_out_the_labels() -> None:
    ids = [0] * 6 + [1] * 2
    weights = label_weights(ids, 3)
    assert weights[2] == 0
    assert weights[0] * 6 == pytest.approx(weights[1] * 2)
    assert np.mean(weights[ids]) == pytest.approx(1.0)


def test_progress_carries_each_row_of_the_history_once(tmp_path: Path) -> None:
    heard: list[Progress] = []
    fitted = _fit(_model(), tmp_path, on_progress=heard.append)
    assert [progress.logged for progress in heard if progress.logged is not None] == fitted.history
    assert all(progress.logged is None or progress.logged["step"] == progress.step for progress in heard)
