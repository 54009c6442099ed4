"""The optimizer, its learning rate at every step, and what its weight decay comes to."""

from __future__ import annotations

import math
from typing import Any

from tunesmith.training.state import LoopSettings

__all__ = ["learning_rate_at", "optimizer_for", "weight_decay_left"]


def learning_rate_at(step: int, total_steps: int, settings: LoopSettings) -> float:
    """The learning rate of one step: a rise over the warm-up, then a fall to zero."""
    warmup = round(settings.warmup_fraction * total_steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, total_steps - warmup)
    if settings.schedule == "linear":
        return settings.learning_rate * (1 - done)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def weight_decay_left(steps: int, total_steps: int, settings: LoopSettings) -> float:
    """What AdamW's weight decay alone leaves of a weight after `steps` of `total_steps`."""
    rates = (learning_rate_at(step, total_steps, settings) for step in range(steps))
    return math.prod(1 - rate * settings.weight_decay for rate in rates)


def optimizer_for(model: Any, settings: LoopSettings) -> Any:
    """AdamW or Muon; decay on matrices only, and a learning rate of its own for the head."""
    # both are classes of torch's, which has to be there when they are imported
    from tunesmith.kernels.adamw import AdamW
    from tunesmith.training.muon import Muon, hidden_matrices

    hidden = hidden_matrices(model) if settings.optimizer == "muon" else set()
    groups: dict[tuple[bool, bool, bool], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (parameter.ndim >= 2, name.startswith("score."), parameter in hidden)
            groups.setdefault(key, []).append(parameter)
    described = [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if is_matrix else 0.0,
            "factor": settings.head_learning_rate_factor if is_head else 1.0,
            "orthogonal": is_hidden,
        }
        for (is_matrix, is_head, is_hidden), parameters in groups.items()
    ]
    kind = Muon if settings.optimizer == "muon" else AdamW
    return kind(described, lr=settings.learning_rate, fused=True)
