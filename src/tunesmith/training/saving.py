"""What trains and its moments -> checkpoints, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.kernels.library import missing
from tunesmith.processes import ALONE, Processes
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import FORMAT, SAVE_SECONDS, Checkpoint, Checkpoints, KeptEpochs
from tunesmith.training.faults import bad_loss
from tunesmith.training.memory import peak_memory_bytes
from tunesmith.training.parallel import Spread, trained
from tunesmith.training.resume import refuse_changes
from tunesmith.training.state import Fitted, LoopSettings, State

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

__all__ = ["OnSaved", "Saver", "put_back"]

OnSaved = Callable[[int, Path], None]
"""Hears, in the main process, after which step something was saved, and where it stands."""


@dataclass(slots=True)
class Saver:
    """Saves one model and its optimizer, and goes back to what was saved.

    Only the main process reads and writes; what is saved is whole, however many processes hold it.
    """

    spread: Spread
    optimizer: Any
    plan: Plan
    settings: LoopSettings
    checkpoints: Checkpoints
    on_note: Callable[[str], None]
    processes: Processes = ALONE
    on_checkpoint: OnSaved = lambda _step, _directory: None
    on_best: OnSaved = lambda _step, _directory: None
    epochs: KeptEpochs | None = None
    _saved_at: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is so old that a killed run would lose too much."""
        return time.monotonic() - self._saved_at > SAVE_SECONDS

    @property
    def place(self) -> str:
        """Where the checkpoints are, for errors."""
        return str(self.checkpoints.directory)

    def save(self, state: State) -> None:
        """Write a checkpoint; raises DataError `bad-loss` where the weights are not finite."""
        weights, moments = self._whole(trained(self.spread.model)), self._whole(self._moments())
        self.processes.from_main(lambda: self._write(state, weights, moments))
        self._saved_at = time.monotonic()

    def _write(self, state: State, weights: Tensors, moments: Tensors) -> None:
        self._refuse_endless(state, weights)
        how = {"processes": self.processes.count, "kernels": _kernels()}
        values = asdict(state) | {"made_with": self._made_with()} | how
        directory = self.checkpoints.save(Checkpoint(state.step, weights, moments, values))
        if directory is not None:
            self.on_checkpoint(state.step, directory)

    def _refuse_endless(self, state: State, weights: Tensors) -> None:
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise bad_loss(f"the weights are not finite after step {state.step}", self.place)

    def save_epoch(self, epoch: int, state: State) -> None:
        """Keep the weights after an epoch, where epochs are kept; raises as `save` does."""
        if self.epochs is not None and self.epochs.most:
            weights = self._whole(trained(self.spread.model))
            self.processes.from_main(lambda: self._write_epoch(epoch, state, weights))

    def _write_epoch(self, epoch: int, state: State, weights: Tensors) -> None:
        assert self.epochs is not None
        self._refuse_endless(state, weights)
        self.epochs.save(epoch, Checkpoint(state.step, weights, {}, asdict(state)))

    def save_best(self, step: int) -> None:
        """Keep the weights as the best so far."""
        weights = self._whole(trained(self.spread.model))
        self.processes.from_main(lambda: self.on_best(step, self.checkpoints.save_best(step, weights)))

    def restore_best(self, step: int) -> None:
        """Go back to the best weights, saved at `step`."""
        best: dict[str, torch.Tensor] = {}
        self.processes.from_main(lambda: best.update(self.checkpoints.best(step)))
        self._put(best)

    def restore(self) -> State | None:
        """Go back to the newest whole checkpoint; None where there is none.

        Raises ResumeError with every difference where the checkpoint is not of this run.
        """
        found: dict[str, Checkpoint] = {}
        told = self.processes.from_main(lambda: self._newest(found))
        if told is None:
            self.on_note("no checkpoint is there to go on from: training begins at its first step")
            return None
        self._put(found["newest"].model if found else {})
        self._put_moments(told["moments"], found["newest"].optimizer if found else {})
        self._note_processes(told["state"].get("processes", 1))
        self._note_kernels(told["state"].get("kernels", False))
        self.on_note(f"going on after step {told['state']['step']} of {self.plan.total_steps}")
        return State.of(told["state"])

    def _newest(self, found: dict[str, Checkpoint]) -> dict[str, Any] | None:
        """Put the newest checkpoint into `found`, and return what the other processes need to know of it."""
        checkpoint = self.checkpoints.newest(self.on_note)
        if checkpoint is None:
            return None
        self._refuse_another(checkpoint, trained(self.spread.model))
        found["newest"] = checkpoint
        return {"state": checkpoint.state, "moments": _shapes(checkpoint.optimizer)}

    def _note_processes(self, before: int) -> None:
        if before != self.processes.count:
            self.on_note(
                f"this run had {_counted(before)} and goes on with {_counted(self.processes.count)}: "
                "the rows of every step are the same, but dropout is drawn anew for them"
            )

    def _note_kernels(self, before: bool) -> None:
        if before != _kernels():
            said = (
                "with compiled kernels and goes on without" if before else "without kernels and goes on with"
            )
            self.on_note(f"this run began {said} them: dropout is drawn anew, and last bits are others")

    def _refuse_another(self, checkpoint: Checkpoint, parameters: Tensors) -> None:
        before = checkpoint.state.get("made_with", {}) | {"weights": _shapes(checkpoint.model)}
        now = self._made_with() | {"weights": _shapes(parameters)}
        refuse_changes(before, now, self.checkpoints.directory / f"step-{checkpoint.step:08d}")

    def _made_with(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be gone on from."""
        plan = self.plan
        plan_values = {
            "rows": len(plan.lengths),
            "tokens": int(plan.lengths.sum()),
            "epochs": plan.epochs,
            "batch_tokens": plan.batch_tokens,
            "seed": plan.seed,
        }
        return {"format": FORMAT, "plan": plan_values, "settings": asdict(self.settings)}

    def _moments(self) -> dict[str, torch.Tensor]:
        return {
            f"{kind}/{name}": moment
            for name, value in trained(self.spread.model).items()
            for kind, moment in self.optimizer.state[value].items()
        }

    def _whole(self, tensors: Tensors) -> dict[str, torch.Tensor]:
        """The tensors on the CPU, in the main process; the others only give it their parts."""
        found: dict[str, torch.Tensor] = {}
        for name, value in tensors.items():
            whole = self.spread.whole(value)
            if self.processes.is_main:
                found[name] = whole.cpu().contiguous()
        return found

    def _put(self, values: Tensors) -> None:
        """Give what trains the main process's values."""
        import torch

        parameters = trained(self.spread.model)
        assert not values or parameters.keys() == values.keys(), "the checkpoint is of another model"
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(self._received(values.get(name), parameter.shape, parameter))

    def _put_moments(self, shapes: Mapping[str, Sequence[int]], moments: Tensors) -> None:
        parameters = trained(self.spread.model)
        for key, shape in shapes.items():
            kind, name = key.split("/", 1)
            moment = self._received(moments.get(key), shape, parameters[name])
            self.optimizer.state[parameters[name]][kind] = moment

    def _received(self, value: torch.Tensor | None, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """What belongs here of a tensor that the main process has read."""
        import torch

        # steps are counted in fp32, whatever the weights are
        dtype = like.dtype if shape else torch.float32
        whole = torch.empty(tuple(shape), dtype=dtype) if value is None else value.to(dtype)
        return self.spread.part(self.processes.send(whole), like)


def put_back(model: Any, kept: Checkpoint) -> Fitted:
    """Give what trains in `model` the weights that are kept, and leave it in evaluation mode."""
    import torch

    parameters, state = trained(model), State.of(kept.state)
    assert parameters.keys() == kept.model.keys(), "the weights are of another model"
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(kept.model[name])
    model.eval()
    return Fitted(
        step=state.step,
        best_step=0,
        seconds=state.seconds,
        tokens=state.tokens,
        history=state.history,
        stopped_early=False,
        peak_memory_bytes=peak_memory_bytes(),
    )


def _kernels() -> bool:
    """Whether kernels train here, with which dropout drops other values."""
    import torch

    return not torch.cuda.is_available() and not missing()


def _counted(processes: int) -> str:
    return f"{processes} process{'es' * (processes != 1)}"


def _shapes(tensors: Tensors) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in tensors.items()}
