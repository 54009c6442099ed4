"""The one head that minimises a convex loss with a penalty: Newton's method by conjugate gradients.

Each step goes to about the minimum of the loss's second-order model at where one is; the Hessian is never
made, only multiplied with. Some ten steps suffice where features are far from alike in size, or classes are
told apart without an error, on which quasi-Newton methods spend hundreds.
Source: Nocedal and Wright, Numerical Optimization, 2nd edition, algorithm 7.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["Penalised"]

_MOST_STEPS = 50
_MOST_TURNS = 100
# of the slope's largest entry, below which it is 0
_TOLERANCE = 1e-9
# a step is halved until the loss falls by this share of what its slope promises
_LEAST_FALL = 1e-4
_MOST_HALVINGS = 30


@dataclass(frozen=True, slots=True)
class Penalised:
    """The mean loss of a linear head on some rows, and a penalty on its squared weights."""

    features: torch.Tensor
    """(rows, width)"""
    mean_loss: Callable[[torch.Tensor], torch.Tensor]
    """Of logits (rows, labels); convex"""
    strength: float

    def minimum(self, start: torch.Tensor) -> torch.Tensor:
        """The best head, (labels, width), looked for from `start` on."""
        weight = start
        for _ in range(_MOST_STEPS):
            here = self._at(weight)
            if float(here.slope.abs().max()) < _TOLERANCE:
                break
            better = self._better(here, here.newton_step())
            if better is None:  # as near as numbers come
                break
            weight = better
        return weight

    def value(self, weight: torch.Tensor) -> float:
        """The loss and the penalty."""
        return float(self.mean_loss(self.features @ weight.T) + self._penalty(weight))

    def _at(self, weight: torch.Tensor) -> _Point:
        import torch

        logits = (self.features @ weight.T).requires_grad_()
        loss = self.mean_loss(logits)
        [slopes] = torch.autograd.grad(loss, logits, create_graph=True)
        slope = slopes.detach().T @ self.features + self.strength * weight
        return _Point(self, weight, float(loss.detach() + self._penalty(weight)), logits, slopes, slope)

    def _penalty(self, weight: torch.Tensor) -> torch.Tensor:
        return self.strength / 2 * weight.square().sum()

    def _better(self, here: _Point, step: torch.Tensor) -> torch.Tensor | None:
        fall = float((step * here.slope).sum())
        for _ in range(_MOST_HALVINGS):
            there = here.weight + step
            if self.value(there) <= here.value + _LEAST_FALL * fall < here.value:
                return there
            step, fall = step / 2, fall / 2
        return None


@dataclass(frozen=True, slots=True)
class _Point:
    """A head, and the loss about it to the second order."""

    of: Penalised
    weight: torch.Tensor
    value: float
    logits: torch.Tensor
    slopes: torch.Tensor
    """Of the mean loss by the logits, with their graph"""
    slope: torch.Tensor
    """Of all by the weights"""

    def newton_step(self) -> torch.Tensor:
        """About where the second-order model has its minimum: the nearer, the smaller the slope is."""
        import torch

        step, left = torch.zeros_like(self.weight), -self.slope
        easy = self._curvature()
        turned = left / easy
        direction, size = turned, float((left * turned).sum())
        enough = size * min(0.5, size**0.25) ** 2
        for _ in range(_MOST_TURNS):
            bent = self._hessian_times(direction)
            length = size / float((direction * bent).sum())
            step, left = step + length * direction, left - length * bent
            turned = left / easy
            size, before = float((left * turned).sum()), size
            if size <= enough:
                break
            direction = turned + size / before * direction
        return step

    def _hessian_times(self, direction: torch.Tensor) -> torch.Tensor:
        import torch

        [bent] = torch.autograd.grad(
            self.slopes, self.logits, self.of.features @ direction.T, retain_graph=True
        )
        return bent.T @ self.of.features + self.of.strength * direction

    def _curvature(self) -> torch.Tensor:
        """About the diagonal of the Hessian."""
        # by a logit, a cross-entropy has the slope p - 1 or p, and the curvature p (1 - p)
        steep = (self.slopes.detach().abs() * len(self.slopes)).clamp(max=1)
        curved = (steep * (1 - steep)).T @ self.of.features.square() / len(self.slopes)
        return curved + self.of.strength
