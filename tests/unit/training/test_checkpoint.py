from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

import pytest
import torch

from tests.hostile import LIES
from tunesmith.errors import StorageError
from tunesmith.files import sha256_bytes
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
    said: list[str] = []
    newest = checkpoints.newest(said.append)
    assert newest is not None
    assert newest.step == 1
    assert len(said) == 1
    assert "step-00000002 is damaged and passed over" in said[0]


def test_any_flipped_bit_and_any_cut_is_found(tmp_path: Path) -> None:
    checkpoints, chance = Checkpoints(tmp_path), random.Random(0)
    checkpoints.save(_checkpoint(1))
    checkpoints.save(_checkpoint(2))
    files = sorted((tmp_path / "step-00000002").iterdir())
    for number in range(400):
        path = chance.choice(files)
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged if number % 4 else whole[: chance.randrange(len(whole) - 1)])
        newest = checkpoints.newest()
        assert newest is not None
        assert newest.step == 1, (path, damaged)
        path.write_bytes(whole)
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 2


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
)
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    checkpoints, said = Checkpoints(tmp_path), list[str]()
    checkpoints.save(_checkpoint(1))
    (tmp_path / "step-00000001" / name).unlink()
    assert checkpoints.newest(said.append) is None
    assert name in said[0]


@pytest.mark.parametrize("manifest", ["{}", "[]", "7", "null", '{"state.json": 1}', "", "[" * 9999])
def test_a_manifest_that_is_none_is_no_trap(tmp_path: Path, manifest: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(_checkpoint(1))
    (tmp_path / "step-00000001" / "manifest.json").write_text(manifest)
    assert checkpoints.newest() is None


def test_two_whole_checkpoints_are_kept_beside_a_damaged_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 9):
        checkpoints.save(_checkpoint(step))
    (tmp_path / "step-00000009" / "state.json").write_text("{}")
    checkpoints.save(_checkpoint(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_the_best_weights_of_both_checkpoints_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        checkpoints.save_best(step, {"w": torch.ones(1)})
        checkpoints.save(_checkpoint(step, best_step=step))
    checkpoints.save_best(4, {"w": torch.ones(1)})  # killed before the checkpoint that names it
    shutil.rmtree(tmp_path / "step-00000003")
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 2


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_a_save_without_space_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    import resource

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(_checkpoint(1))
    large = Checkpoint(2, {"w": torch.ones(100_000)}, {}, {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(StorageError) as caught:
            checkpoints.save(large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [problem.code for problem in caught.value.problems] == ["disk-full"]
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
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


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_one_clear_error(tmp_path: Path, name: str, lie: str) -> None:
    """The manifest knows the hash of the lie: whoever made one made the other."""
    checkpoints = Checkpoints(tmp_path)
    place = checkpoints.save(_checkpoint(1))
    assert place is not None
    (place / name).write_bytes(LIES[lie])
    hashes = json.loads((place / "manifest.json").read_text()) | {name: sha256_bytes(LIES[lie])}
    (place / "manifest.json").write_text(json.dumps(hashes))
    with pytest.raises(StorageError, match="storage"):
        checkpoints.newest()
