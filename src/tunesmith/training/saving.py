"""What trains and its moments -> checkpoints, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import FORMAT, SAVE_SECONDS, Checkpoint, Checkpoints
from tunesmith.training.resume import refuse_changes
from tunesmith.training.state import LoopSettings, State
from tunesmith.training.step import bad_loss

if TYPE_CHECKING:
    import torch

__all__ = ["Saver"]


@dataclass(slots=True)
class Saver:
    """Saves one model and its optimizer, and goes back to what was saved."""

    model: Any
    optimizer: Any
    plan: Plan
    settings: LoopSettings
    checkpoints: Checkpoints
    on_note: Callable[[str], None]
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
        weights = self._weights()
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise bad_loss(f"the weights are not finite after step {state.step}", self.place)
        values = asdict(state) | {"made_with": self._made_with()}
        self.checkpoints.save(Checkpoint(state.step, weights, self._moments(), values))
        self._saved_at = time.monotonic()

    def save_best(self, step: int) -> None:
        """Keep the weights as the best so far."""
        self.checkpoints.save_best(step, self._weights())

    def restore_best(self, step: int) -> None:
        """Go back to the best weights, saved at `step`."""
        _copy_into(self._trained(), self.checkpoints.best(step))

    def restore(self) -> State | None:
        """Go back to the newest whole checkpoint; None where there is none.

        Raises ResumeError with every difference where the checkpoint is not of this run.
        """
        checkpoint = self.checkpoints.newest(self.on_note)
        if checkpoint is None:
            self.on_note("no checkpoint is there to go on from: training begins at its first step")
            return None
        parameters = self._trained()
        self._refuse_another(checkpoint, parameters)
        _copy_into(parameters, checkpoint.model)
        for key, moment in checkpoint.optimizer.items():
            kind, name = key.split("/", 1)
            self.optimizer.state[parameters[name]][kind] = moment.to(parameters[name].device)
        self.on_note(f"going on after step {checkpoint.step} of {self.plan.total_steps}")
        return State.of(checkpoint.state)

    def _refuse_another(self, checkpoint: Checkpoint, parameters: Mapping[str, torch.Tensor]) -> None:
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

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        """What trains, by name; all else stays as the base has it and is in no checkpoint."""
        # named_parameters lists tied weights once, as safetensors wants them
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().cpu().contiguous() for name, value in self._trained().items()}

    def _moments(self) -> dict[str, torch.Tensor]:
        moments: dict[str, torch.Tensor] = {}
        for name, value in self._trained().items():
            for key, moment in self.optimizer.state[value].items():
                moments[f"{key}/{name}"] = moment.detach().cpu().contiguous()
        return moments


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in tensors.items()}


def _copy_into(parameters: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    import torch

    assert parameters.keys() == values.keys(), "the checkpoint is of another model"
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values[name])
