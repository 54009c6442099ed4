"""Activations that are computed a second time instead of kept: less memory, more time, the same gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tunesmith.model.layers import block_count

__all__ = ["activation_bytes_per_token", "can_recompute", "recomputed", "recomputing"]

# what a block keeps of a token, in numbers for each of its width: with dropout, measured on GPT-2 and Llama
_STATES_KEPT = 24
_FP32_BYTES = 4
# queries are attended in tiles of so many
_TILE = 128


def can_recompute(model: Any) -> bool:
    """Whether the architecture's own forward knows how to."""
    return bool(getattr(model, "supports_gradient_checkpointing", False))


@contextmanager
def recomputing(model: Any, wanted: bool) -> Iterator[None]:
    """While this is open and `model` is in training mode, blocks keep only what goes into them."""
    if not wanted:
        yield
        return
    _switch(model, "enable")({"use_reentrant": False})
    try:
        yield
    finally:
        _switch(model, "disable")()


def _switch(model: Any, how: str) -> Callable[..., None]:
    """The model's own method, which earlier releases of transformers know by another name."""
    name = f"activation_checkpointing_{how}"
    switch: Callable[..., None] = getattr(model, name, None) or getattr(
        model, f"gradient_checkpointing_{how}"
    )
    return switch


def recomputed(body: Any, block: Callable[..., Any]) -> Callable[..., Any]:
    """`block`, run a second time for its gradients where `recomputing` asks for that.

    torch puts its generator back for the second run, so that dropout drops the same.
    """
    if not (body.training and getattr(body, "gradient_checkpointing", False)):
        return block
    from torch.utils.checkpoint import checkpoint

    return lambda *inputs: checkpoint(block, *inputs, use_reentrant=False)


def activation_bytes_per_token(model: Any, length: int) -> int:
    """About what training in fp32 keeps of each token of texts with `length` tokens, on the high side.

    0 where the model has no choice but to keep it.
    """
    import torch

    if not can_recompute(model):
        return 0

    config = model.config.get_text_config()
    # on a GPU, torch's kernels keep no scores
    keys = 0 if torch.cuda.is_available() else min(length, (length + _TILE) // 2)
    scores = 2 * config.num_attention_heads * keys
    return int(_FP32_BYTES * block_count(model) * (_STATES_KEPT * config.hidden_size + scores))
