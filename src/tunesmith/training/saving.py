"""What trains and its moments -> checkpoints, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tunesmith.processes import ALONE, Processes
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import FORMAT, SAVE_SECONDS, Checkpoint, Checkpoints
from tunesmith.training.faults import bad_loss
from tunesmith.training.parallel import Spread, trained
from tunesmith.training.resume import refuse_changes
from tunesmith.training.state import LoopSettings, State

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

__all__ = ["Saver"]


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
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise bad_loss(f"the weights are not finite after step {state.step}", self.place)
        values = asdict(state) | {"made_with": self._made_with(), "processes": self.processes.count}
        self.checkpoints.save(Checkpoint(state.step, weights, moments, values))

    def save_best(self, step: int) -> None:
        """Keep the weights as the best so far."""
        weights = self._whole(trained(self.spread.model))
        self.processes.from_main(lambda: self.checkpoints.save_best(step, weights))

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


def _counted(processes: int) -> str:
    return f"{processes} process{'es' * (processes != 1)}"


def _shapes(tensors: Tensors) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in tensors.items()}
