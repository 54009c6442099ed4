"""The number format of the forward pass."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

__all__ = ["autocast", "bf16_in_hardware"]


def autocast(device: Any, precision: Literal["fp32", "bf16"]) -> AbstractContextManager[None]:
    """Run what stands in the block in `precision`.

    Not accelerate's own, which one process can set but once: a library trains again and again.
    """
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def bf16_in_hardware() -> bool:
    """Whether the device that trains multiplies bf16 itself: emulated, it is slower than fp32."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return sys.platform.startswith("linux") and "bf16" in _cpu_flags()


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
