"""The number format of the forward pass."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

__all__ = ["autocast"]


def autocast(device: Any, precision: Literal["fp32", "bf16"]) -> AbstractContextManager[None]:
    """Run what stands in the block in `precision`.

    Not accelerate's own, which one process can set but once: a library trains again and again.
    """
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
