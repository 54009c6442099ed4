"""Modules of transformers whose answers torch has in one kernel: the same numbers, sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunesmith.kernels.library import kernels_for

if TYPE_CHECKING:
    import torch

__all__ = ["activated", "use_fast_modules"]


def use_fast_modules(model: Any) -> None:
    """Exchange GPT-2's and GPT-Neo's GELU, written there as eight passes over memory, for torch's own."""
    import torch
    from transformers.activations import NewGELUActivation

    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def activated(values: torch.Tensor, bias: torch.Tensor | None, activation: Any) -> torch.Tensor:
    """`activation(values + bias)`, (tokens, width)."""
    if getattr(activation, "approximate", None) == "tanh" and kernels_for(values) is not None:
        # it defines a gradient of its own, for which torch has to be there when it is imported
        from tunesmith.kernels.pointwise import gelu_natively

        return gelu_natively(values, bias)
    answer: torch.Tensor = activation(values if bias is None else values + bias)
    return answer
