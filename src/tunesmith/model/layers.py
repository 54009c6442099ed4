"""Where a model's blocks are, and which of their layers are linear, whatever the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunesmith.kernels.library import kernels_for

if TYPE_CHECKING:
    import torch

__all__ = ["block_count", "blocks_of", "is_plain", "is_transposed", "linear_layers", "matrix", "product"]


def block_count(model: Any) -> int:
    """How many blocks the model has, one on the other."""
    return int(getattr(model.config.get_text_config(), "num_hidden_layers", 0))


def blocks_of(model: Any) -> list[Any]:
    """The blocks from the bottom to the top; none where they stand in no list."""
    name = _blocks(model)
    return list(model.get_submodule(name)) if name else []


def linear_layers(model: Any) -> tuple[str, ...]:
    """The full names of the linear layers of the blocks, such as `transformer.h.0.attn.c_attn`."""
    import torch

    blocks = _blocks(model)
    return tuple(
        f"{blocks}.{name}"
        for name, module in (model.get_submodule(blocks).named_modules() if blocks else ())
        if isinstance(module, torch.nn.Linear) or is_transposed(module)
    )


def is_transposed(layer: Any) -> bool:
    """Whether a linear layer's weight is (inputs, outputs), as GPT-2 has it."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, Conv1D)


def is_plain(layer: Any) -> bool:
    """Whether a layer is its weights and its bias and nothing else, such as an adapter or a hook."""
    import torch
    from transformers.pytorch_utils import Conv1D

    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return type(layer) in (Conv1D, torch.nn.Linear) and not any(hooks)


def matrix(layer: Any) -> Any:
    """A plain linear layer's weights, (width in, width out)."""
    return layer.weight if is_transposed(layer) else layer.weight.t()


def product(layer: Any, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What a linear layer answers, and its bias where what follows is to add it on its way.

    torch writes the bias into the whole result before it multiplies.
    """
    if not is_plain(layer) or layer.bias is None or kernels_for(states) is None:
        return layer(states), None
    return states @ matrix(layer), layer.bias


def _blocks(model: Any) -> str:
    """The name of the list of blocks, or nothing where there is no such list."""
    import torch

    count = block_count(model)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return str(name)
    return ""
