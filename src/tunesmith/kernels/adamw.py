"""AdamW whose step, and the clipping of gradients before it, goes over memory once."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Sequence
from ctypes import c_double, c_int64, c_void_p
from typing import Any

import numpy as np
import torch

from tunesmith.kernels.library import address, kernels_for, present_kernels

__all__ = ["AdamW", "scale_gradients"]

# numbers of a part, as adamw.c has it
_PART = 16384
_TINY = 1e-6  # as torch's own clipping adds to the norm


class _Weight(ctypes.Structure):
    """adamw.c's struct of this name."""

    _fields_ = (
        *((name, c_void_p) for name in ("weight", "gradient", "mean", "square")),
        ("count", c_int64),
        *((name, c_double) for name in ("decay", "rate", "root")),
    )


class _AdamW(ctypes.Structure):
    """adamw.c's struct of this name."""

    _fields_ = (
        ("weights", c_void_p),
        *((name, c_int64) for name in ("count", "threads")),
        *((name, c_double) for name in ("factor", "first", "second", "epsilon")),
    )


class AdamW(torch.optim.AdamW):
    """torch's, with its states and its numbers; computed by kernels where they can take all weights.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019.
    """

    factor = 1.0
    """What the next step multiplies gradients by"""

    def clip(self, parameters: Sequence[torch.nn.Parameter], most: float) -> float | None:
        """The norm of all gradients, which the next step makes `most` where it is more; None: no kernels."""
        moving = [weight for weight in parameters if weight.grad is not None]
        if not _can(moving):
            return None
        weights = (_Weight * len(moving))()
        for place, weight in zip(weights, moving, strict=True):
            place.gradient, place.count = address(weight.grad), weight.numel()
        room = np.empty(sum(-(-weight.numel() // _PART) for weight in moving))
        sums = c_void_p(room.ctypes.data)
        squares = present_kernels(moving[0]).gradient_squares(ctypes.byref(_asked(weights)), sums)
        norm = math.sqrt(squares)
        self.factor = min(1.0, most / (norm + _TINY))
        return norm

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one."""
        factor, self.factor = self.factor, 1.0
        for group in self.param_groups:
            moving = [weight for weight in group["params"] if weight.grad is not None]
            if _can(moving):
                self._step(group, moving, factor)
            else:
                scale_gradients(moving, factor)
        # torch passes over weights without gradients
        super().step(closure)

    def _step(self, group: dict[str, Any], moving: list[torch.nn.Parameter], factor: float) -> None:
        (first, second), weights = group["betas"], (_Weight * len(moving))()
        for place, weight in zip(weights, moving, strict=True):
            state = self._state(weight)
            state["step"] += 1
            steps = float(state["step"])
            place.weight, place.gradient = address(weight), address(weight.grad)
            place.mean, place.square = address(state["exp_avg"]), address(state["exp_avg_sq"])
            place.count, place.decay = weight.numel(), 1 - group["lr"] * group["weight_decay"]
            place.rate, place.root = group["lr"] / (1 - first**steps), math.sqrt(1 - second**steps)
        asked = _asked(weights, factor=factor, first=first, second=second, epsilon=group["eps"])
        present_kernels(moving[0]).adamw_step(ctypes.byref(asked))
        for weight in moving:
            weight.grad = None

    def _state(self, weight: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        return state


def scale_gradients(moving: Iterable[torch.nn.Parameter], factor: float) -> None:
    """Multiply what these weights have of gradients, where that changes them."""
    gradients = [weight.grad for weight in moving if weight.grad is not None]
    if gradients and factor != 1:
        torch._foreach_mul_(gradients, factor)


def _can(moving: Iterable[torch.nn.Parameter]) -> bool:
    """Whether weights and gradients are all of one kind, for which there are kernels, each in one piece."""
    given = [states for weight in moving for states in (weight, weight.grad) if states is not None]
    if not given or kernels_for(given[0]) is None:
        return False
    kinds, dtype = (torch.Tensor, torch.nn.Parameter), given[0].dtype
    return all(type(it) in kinds and it.is_cpu and it.dtype == dtype and it.is_contiguous() for it in given)


def _asked(weights: ctypes.Array[_Weight], **given: float) -> _AdamW:
    return _AdamW(ctypes.addressof(weights), len(weights), torch.get_num_threads(), **given)
