from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tunesmith.errors import StorageError
from tunesmith.training.checkpoint import Checkpoint, Checkpoints


def _checkpoint(step: int, best_step: int = 0) -> Checkpoint:
    tensors = {"w": torch.full((3,), float(step))}
    return Checkpoint(step, tensors, {"exp_avg/w": tensors["w"] * 2}, {"best_step": best_step})


def test_the_newest_of_two_is_read_back(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.newest() is None
    for step in (1, 2, 3):
        checkpoints.save(_checkpoint(step))
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 3
    assert torch.equal(newest.model["w"], torch.full((3,), 3.0))
    assert torch.equal(newest.optimizer["exp_avg/w"], torch.full((3,), 6.0))
    assert len(list((tmp_path / "c").glob("step-*"))) == 2


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
)
@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, name: str, cut: bool) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(_checkpoint(1))
    checkpoints.save(_checkpoint(2))
    path = tmp_path / "step-00000002" / name
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged[: len(damaged) // 2] if cut else damaged)
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 1


def test_a_checkpoint_whose_best_weights_are_gone_is_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(_checkpoint(1))
    checkpoints.save(_checkpoint(2, best_step=2))
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 1
    checkpoints.save_best(2, {"w": torch.ones(1)})
    assert torch.equal(checkpoints.best(2)["w"], torch.ones(1))
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 2


def test_orphans_of_a_crash_are_swept_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(_checkpoint(1))
    for name in (".step-00000002.0123abcd.tmp", ".best-00000002.0123abcd.tmp", ".step-00000001.0123abcd.old"):
        (tmp_path / name).mkdir()
    (tmp_path / ".mine.tmp").mkdir()
    assert checkpoints.newest() is not None
    checkpoints.sweep()
    assert {path.name for path in tmp_path.iterdir()} == {".mine.tmp", "step-00000001"}


def test_a_directory_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        Checkpoints(tmp_path / "file" / "c").save(_checkpoint(1))
