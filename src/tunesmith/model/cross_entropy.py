"""The cross-entropy of a large vocabulary, some tokens at a time: logits never lie in memory together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import linear, log_softmax

__all__ = ["log_shares", "summed_cross_entropy", "token_log_likelihoods"]

# tokens whose logits are held at once
_CHUNK = 1024


def summed_cross_entropy(states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of `targets`, (tokens,), summed, where a head of this weight reads `states`.

    `states` is (tokens, width), `weight` (vocabulary, width); gradients flow to both.
    """
    wanted = torch.is_grad_enabled()
    loss: torch.Tensor = _CrossEntropy.apply(states, weight, targets, wanted)  # type: ignore[no-untyped-call]
    return loss


def token_log_likelihoods(states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(tokens,) the log-likelihood of each of `targets`, in nats; shapes and gradients as above.

    How much each token counts is not known until all are: logits are computed again on the way back.
    """
    found: torch.Tensor = _LogLikelihoods.apply(states, weight, targets)  # type: ignore[no-untyped-call]
    return found


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


class _LogLikelihoods(torch.autograd.Function):
    """Keeps what the head reads, and no logits."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        read, cast = _low(states), _low(weight)
        ctx.low = read.dtype
        ctx.save_for_backward(states, weight, targets)
        found = [shares.gather(1, targets[part, None])[:, 0] for part, shares in log_shares(read, cast)]
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        states, weight, targets = ctx.saved_tensors
        read, cast = states.to(ctx.low), weight.to(ctx.low)
        of_states = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for part, shares in log_shares(read, cast):
            target = targets[part, None]
            # what each token should have got, less the share that it got
            error = shares.exp_().neg_().scatter_add_(1, target, torch.ones_like(target, dtype=shares.dtype))
            error = (error * gradients[0][part, None]).to(read.dtype)
            if of_states is not None:
                of_states[part] = error @ cast
            if of_weight is not None:
                _add_product(of_weight, error.T, read[part])
        return of_states, of_weight, None


def _low(values: torch.Tensor) -> torch.Tensor:
    """What autocast would make of an input of a linear layer."""
    device = values.device.type
    return values.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else values


def _add_product(total: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
    if total.dtype == first.dtype:
        total.addmm_(first, second)
    else:
        total += first @ second
