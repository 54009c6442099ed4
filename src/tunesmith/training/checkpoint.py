"""Checkpoints: written whole or not at all, verified when read, safetensors and JSON only.

A checkpoint is a directory `step-00000042` with `model.safetensors`, `optimizer.safetensors`,
`state.json` and, written last, `manifest.json` with the SHA-256 of the others. The best weights
so far stand in a directory of the same kind, `best-00000042`, without an optimizer.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.files import read_json, sha256_file, staged_directory, storage_errors, write_json

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

__all__ = ["Checkpoint", "Checkpoints"]

_KEPT = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped."""

    step: int
    model: Tensors
    optimizer: Tensors
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then drop all but the newest two."""
        self._write(f"step-{checkpoint.step:08d}", checkpoint)
        for old in self._steps()[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def save_best(self, step: int, model: Tensors) -> None:
        """Keep these weights as the best so far; the best before stays until this one stands."""
        name = f"best-{step:08d}"
        self._write(name, Checkpoint(step, model, {}, {}))
        # a checkpoint written before this best still names the one before it: keep that one too
        for old in sorted(self.directory.glob("best-*"))[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is passed over for the one before."""
        self._sweep()
        for path in reversed(self._steps()):
            if _is_whole(path):
                checkpoint = _read(path)
                if self._has_best(int(checkpoint.state.get("best_step", 0))):
                    return checkpoint
        return None

    def best(self, step: int) -> Tensors:
        """The best weights, saved at `step`."""
        return _read(self.directory / f"best-{step:08d}").model

    def _has_best(self, step: int) -> bool:
        return step == 0 or _is_whole(self.directory / f"best-{step:08d}")

    def clear(self) -> None:
        """Remove all checkpoints: the run is done and its bundle is written."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _steps(self) -> list[Path]:
        return sorted(self.directory.glob("step-*"))

    def _sweep(self) -> None:
        for orphan in [*self.directory.glob(".*.tmp"), *self.directory.glob(".*.old")]:
            shutil.rmtree(orphan, ignore_errors=True)

    def _write(self, name: str, checkpoint: Checkpoint) -> None:
        from safetensors.torch import save_file

        with staged_directory(self.directory / name, overwrite=True) as directory:
            save_file(dict(checkpoint.model), directory / "model.safetensors")
            if checkpoint.optimizer:
                save_file(dict(checkpoint.optimizer), directory / "optimizer.safetensors")
            write_json(directory / "state.json", checkpoint.state | {"step": checkpoint.step})
            hashes = {path.name: sha256_file(path) for path in sorted(directory.iterdir())}
            write_json(directory / "manifest.json", hashes)


def _is_whole(path: Path) -> bool:
    try:
        hashes = read_json(path / "manifest.json")
        return bool(hashes) and all(sha256_file(path / name) == sha for name, sha in hashes.items())
    except (UserError, AttributeError):
        return False


def _read(path: Path) -> Checkpoint:
    from safetensors.torch import load_file

    with storage_errors(path):
        model = load_file(path / "model.safetensors")
        has_optimizer = (path / "optimizer.safetensors").exists()
        optimizer = load_file(path / "optimizer.safetensors") if has_optimizer else {}
    state = read_json(path / "state.json")
    return Checkpoint(int(state["step"]), model, optimizer, state)
