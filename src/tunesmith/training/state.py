"""What a run is told, what changes while it runs, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from tunesmith.training.precision import Precision

__all__ = ["Fitted", "Interrupted", "LoopSettings", "OptimizerName", "Progress", "State"]

OptimizerName = Literal["adamw", "muon"]


class Interrupted(Exception):  # noqa: N818 (it is no error: the user asked for it)
    """The user stopped the run; a checkpoint of the last whole step is on disk."""

    def __init__(self, step: int, total_steps: int) -> None:
        self.step = step
        self.total_steps = total_steps
        super().__init__(f"stopped after step {step} of {total_steps}")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands; losses are means of what they are measured on."""

    step: int
    total_steps: int
    epoch: int
    train_loss: float
    learning_rate: float
    tokens_per_second: float
    validation: Mapping[str, float] | None = None
    """What `evaluate` found, where it ran after this step."""
    logged: Mapping[str, float] | None = None
    """The row of the history that was added after this step, where one was."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The part of a recipe that the loop needs, all of it resolved."""

    learning_rate: float
    schedule: Literal["linear", "cosine"]
    warmup_fraction: float
    micro_batch_tokens: int
    weight_decay: float
    max_gradient_norm: float
    precision: Precision
    seed: int
    early_stopping: int
    head_learning_rate_factor: float = 1.0
    keep: Literal["best", "last"] = "best"
    """Which weights are left: those that `evaluate` scored best, or those after the last step."""
    evaluations_per_epoch: int = 1
    optimizer: OptimizerName = "adamw"
    packed: bool = False
    """Texts are laid end to end without padding: a forward pass costs the sum of their tokens."""


@dataclass(slots=True)
class State:
    """What changes from step to step besides weights and optimizer."""

    step: int = 0
    best_step: int = 0
    best_score: float | None = None
    evaluations_since_best: int = 0
    seconds: float = 0.0
    tokens: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    micro_batch_tokens: int = 0
    loss_scale: float = 1.0
    good_steps: int = 0
    """Steps taken since the loss scale last changed."""
    history: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The state that a checkpoint holds."""
        return cls(**{each.name: values[each.name] for each in fields(cls) if each.name in values})


@dataclass(frozen=True, slots=True)
class Fitted:
    """How training went; the model holds the weights that were to be kept when `fit` returns."""

    step: int
    best_step: int
    seconds: float
    tokens: int
    history: list[dict[str, float]]
    stopped_early: bool
    peak_memory_bytes: int
