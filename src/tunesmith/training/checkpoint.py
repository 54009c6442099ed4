"""Checkpoints: written whole or not at all, verified when read, safetensors and JSON only.

A checkpoint is a directory `step-00000042` with `model.safetensors`, `optimizer.safetensors`,
`state.json` and, written last, `manifest.json` with the SHA-256 of the others. The best weights
so far stand in a directory of the same kind, `best-00000042`, without an optimizer.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import Problem, StorageError, UserError
from tunesmith.files import read_json, sha256_file, staged_directory, storage_errors, sweep, write_json

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

__all__ = ["FORMAT", "SAVE_SECONDS", "Checkpoint", "Checkpoints", "KeptEpochs"]

FORMAT = 1
"""What is in a checkpoint, and what a step computes: a run goes on only with the format it began with."""
SAVE_SECONDS = 120.0
"""A killed run loses at most this much work."""

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

    def save(self, checkpoint: Checkpoint) -> Path | None:
        """Write a checkpoint, then drop all but the newest two and the best weights that they name.

        Returns where it stands; None where this keeps none.
        """
        written = self._write(f"step-{checkpoint.step:08d}", checkpoint)
        for kind in ("step", "best"):
            # what is of a later step was damaged and passed over: it must not count as kept
            kept = [path for path in self._all(kind) if path.name <= f"{kind}-{checkpoint.step:08d}"][-_KEPT:]
            for other in set(self._all(kind)) - set(kept):
                shutil.rmtree(other, ignore_errors=True)
        return written

    def save_best(self, step: int, model: Tensors) -> Path:
        """Keep these weights as the best so far; those before stay until the next checkpoint is whole."""
        return self._write(f"best-{step:08d}", Checkpoint(step, model, {}, {}))

    def newest(self, on_note: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is passed over, and `on_note` told why."""
        for path in reversed(self._all("step")):
            fault = _fault(path) or self._fault_of_best(path)
            if fault is None:
                return _read(path)
            on_note(f"the checkpoint {path.name} is damaged and passed over: {fault}")
        return None

    def best(self, step: int) -> Tensors:
        """The best weights, saved at `step`."""
        return _read(self.directory / f"best-{step:08d}").model

    def _fault_of_best(self, path: Path) -> str | None:
        best_step = int(read_json(path / "state.json").get("best_step", 0))
        return _fault(self.directory / f"best-{best_step:08d}") if best_step else None

    def keep(self, name: str, values: Tensors) -> None:
        """Keep what a run computes before its first step."""
        self._write(name, Checkpoint(0, values, {}, {}))

    def kept(self, name: str) -> Tensors | None:
        """What was kept under this name, None where it is not here, or damaged."""
        path = self.directory / name
        return _read(path).model if _fault(path) is None else None

    def clear(self) -> None:
        """Remove all checkpoints: the run is done and its bundle is written."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed save left behind."""
        sweep(self.directory)

    def _all(self, kind: str) -> list[Path]:
        return sorted(self.directory.glob(f"{kind}-*"))

    def _write(self, name: str, checkpoint: Checkpoint) -> Path:
        return _written(self.directory / name, checkpoint)


@dataclass(frozen=True, slots=True)
class KeptEpochs:
    """The weights after each of the latest epochs of a run, each in a directory of the same kind.

    What trains is kept, and what becomes of it in the end is left to whoever makes a model of it.
    """

    directory: Path
    most: int
    """How many are kept; 0: none"""

    def save(self, epoch: int, checkpoint: Checkpoint) -> None:
        """Keep the weights after an epoch, which counts from 1, and drop those of the oldest."""
        _written(self._place(epoch), checkpoint)
        for number in self.epochs[: -self.most]:
            shutil.rmtree(self._place(number), ignore_errors=True)

    @property
    def epochs(self) -> list[int]:
        """The epochs that are kept, ascending."""
        return sorted(int(path.name.removeprefix("epoch-")) for path in self.directory.glob("epoch-*"))

    def read(self, epoch: int) -> Checkpoint:
        """The weights after an epoch; raise StorageError where they are not kept, or damaged."""
        fault = _fault(self._place(epoch))
        if epoch not in self.epochs or fault:
            kept = ", ".join(map(str, self.epochs)) or "none"
            what = f"the weights after epoch {epoch} are {'damaged: ' + str(fault) if fault else 'not kept'}"
            fix = f"take another epoch: kept are {kept}; `keep_epochs` of `train` says how many are"
            raise StorageError(Problem("no-epoch", what, str(self.directory), fix))
        return _read(self._place(epoch))

    def sweep(self) -> None:
        """Remove what a killed save left behind."""
        sweep(self.directory)

    def _place(self, epoch: int) -> Path:
        return self.directory / f"epoch-{epoch:04d}"


def _written(path: Path, checkpoint: Checkpoint) -> Path:
    from safetensors.torch import save_file

    with staged_directory(path, overwrite=True) as directory:
        save_file(dict(checkpoint.model), directory / "model.safetensors")
        if checkpoint.optimizer:
            save_file(dict(checkpoint.optimizer), directory / "optimizer.safetensors")
        write_json(directory / "state.json", checkpoint.state | {"step": checkpoint.step})
        hashes = {each.name: sha256_file(each) for each in sorted(directory.iterdir())}
        write_json(directory / "manifest.json", hashes)
    return path


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None where it is as it was written."""
    try:
        hashes = read_json(path / "manifest.json")
        for name, sha256 in hashes.items():
            if sha256_file(path / name) != sha256:
                return f"{path.name}/{name} is not what was written"
        return None if "state.json" in hashes else f"{path.name}/manifest.json is not what was written"
    except UserError as error:
        first = error.problems[0]
        return f"{first.where}: {first.what}"
    except AttributeError:
        return f"{path.name}/manifest.json is not what was written"


def _read(path: Path) -> Checkpoint:
    from safetensors.torch import load_file

    with storage_errors(path):
        model = load_file(path / "model.safetensors")
        has_optimizer = (path / "optimizer.safetensors").exists()
        optimizer = load_file(path / "optimizer.safetensors") if has_optimizer else {}
    state = read_json(path / "state.json")
    return Checkpoint(int(state["step"]), model, optimizer, state)
