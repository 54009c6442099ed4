"""Muon: momentum whose steps are made orthogonal, for the matrices within a language model's blocks.

Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024; the scale of a step, so
that AdamW's learning rates and weight decay hold: Liu et al., Muon is Scalable for LLM Training, 2025.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from tunesmith.kernels.adamw import AdamW, scale_gradients

__all__ = ["Muon", "hidden_matrices", "orthogonal"]

_MOMENTUM = 0.95
_ITERATIONS = 5
# of the quintic that pulls singular values towards 1 fastest, as published by Jordan et al.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ADAMW_RMS = 0.2


class Muon(AdamW):
    """Steps of Muon in groups marked `orthogonal`, of AdamW in all others."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one; gradients of Muon's weights are gone afterwards."""
        for group in self.param_groups:
            if group["orthogonal"]:
                self._orthogonal_steps(group)
        # AdamW passes over weights without gradients
        super().step(closure)

    def _orthogonal_steps(self, group: dict[str, Any]) -> None:
        moving = [weight for weight in group["params"] if weight.grad is not None]
        scale_gradients(moving, self.factor)
        steps = [piece for weight in moving for piece in _pieces(self._momentum(weight))]
        made = iter(_all_orthogonal(steps))
        for weight in moving:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            for piece in _pieces(weight):
                scale = _ADAMW_RMS * math.sqrt(max(piece.shape))
                piece.add_(next(made), alpha=-group["lr"] * scale)
            weight.grad = None

    def _momentum(self, weight: torch.Tensor) -> torch.Tensor:
        """Nesterov's: a look ahead along the gradients' running mean."""
        gradient, state = weight.grad, self.state[weight]
        assert gradient is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        running = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(running, _MOMENTUM)


def hidden_matrices(model: Any) -> set[torch.Tensor]:
    """The matrices of a language model's blocks: neither embeddings nor the head."""
    embeddings = {m.weight for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    head = model.get_output_embeddings()
    outside = embeddings | ({head.weight} if head is not None else set())
    return {p for p in model.parameters() if p.requires_grad and p.ndim == 2 and p not in outside}


def _pieces(matrix: torch.Tensor) -> list[torch.Tensor]:
    """GPT-2's query, key and value, which lie side by side in one, are three; others stay one."""
    small, large = sorted(matrix.shape)
    if large != 3 * small:
        return [matrix]
    return list(matrix.chunk(3, dim=int(matrix.shape[1] == large)))


def _all_orthogonal(matrices: list[torch.Tensor]) -> list[torch.Tensor]:
    """As many at a time as have one shape."""
    found: dict[int, torch.Tensor] = {}
    for shape in dict.fromkeys(tuple(matrix.shape) for matrix in matrices):
        places = [place for place, matrix in enumerate(matrices) if tuple(matrix.shape) == shape]
        made = orthogonal(torch.stack([matrices[place] for place in places]))
        found |= dict(zip(places, made, strict=True))
    return [found[place] for place in range(len(matrices))]


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """(n, rows, columns) -> the same with all singular values pulled to between 0.7 and 1.2.

    Five Newton-Schulz iterations: no decomposition, products only.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    a, b, c = _QUINTIC
    norm = torch.linalg.matrix_norm(matrices, keepdim=True)
    x: torch.Tensor = matrices / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x
