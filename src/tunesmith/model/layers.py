"""Where a model's blocks are, and which of their layers are linear, whatever the architecture."""

from __future__ import annotations

from typing import Any

__all__ = ["block_count", "blocks_of", "is_transposed", "linear_layers"]


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


def _blocks(model: Any) -> str:
    """The name of the list of blocks, or nothing where there is no such list."""
    import torch

    count = block_count(model)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return str(name)
    return ""
