"""The cross-entropy of a large vocabulary, some tokens at a time: logits never lie in memory together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import linear, log_softmax

__all__ = ["log_shares", "summed_cross_entropy"]

# tokens whose logits are held at once
_CHUNK = 1024


def summed_cross_entropy(states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of `targets`, (tokens,), summed, where a head of this weight reads `states`.

    `states` is (tokens, width), `weight` (vocabulary, width); gradients flow to both.
    """
    wanted = torch.is_grad_enabled()
    loss: torch.Tensor = _CrossEntropy.apply(states, weight, targets, wanted)  # type: ignore[no-untyped-call]
    return loss


def log_shares(states: torch.Tensor, weight: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Some tokens, and the logarithm of each next token's probability after them: (tokens, vocabulary)."""
    full = torch.promote_types(states.dtype, torch.float32)
    for start in range(0, len(states), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield part, log_softmax(linear(states[part], weight), -1, dtype=full)


class _CrossEntropy(torch.autograd.Function):
    """Makes the gradients where the logits are, so that these need be neither kept nor computed again."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, wanted: bool
    ) -> torch.Tensor:
        of_states = torch.empty_like(states) if wanted and ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight) if wanted and ctx.needs_input_grad[1] else None
        read, cast = _low(states), _low(weight)
        losses = []
        for part, shares in log_shares(read, cast):
            target = targets[part, None]
            losses.append(shares.gather(1, target).sum())
            # the share that each token got, less what it should have got: the target all, the others nothing
            error = shares.exp_().scatter_add_(1, target, -torch.ones_like(target, dtype=shares.dtype))
            error = error.to(read.dtype)
            if of_states is not None:
                of_states[part] = error @ cast
            if of_weight is not None:
                _add_product(of_weight, error.T, read[part])
        ctx.save_for_backward(of_states, of_weight)
        return -torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        of_states, of_weight = (each if each is None else each * gradients[0] for each in ctx.saved_tensors)
        return of_states, of_weight, None, None


def _low(values: torch.Tensor) -> torch.Tensor:
    """What autocast would make of an input of a linear layer."""
    device = values.device.type
    return values.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else values


def _add_product(total: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
    if total.dtype == first.dtype:
        total.addmm_(first, second)
    else:
        total += first @ second
