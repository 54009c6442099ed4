"""The number format of the forward pass."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from tunesmith.errors import ConfigError, Problem

__all__ = ["Precision", "autocast", "bf16_in_hardware", "dtype_of", "fp16_in_hardware", "refuse_emulated"]

Precision = Literal["fp32", "bf16", "fp16"]

# the first NVIDIA GPUs whose matrix units multiply fp16
_FP16_CAPABILITY = (7, 0)


def dtype_of(precision: str) -> Any:
    """What matrices are multiplied in."""
    import torch

    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)


def autocast(device: Any, precision: Precision) -> AbstractContextManager[None]:
    """Run what stands in the block in `precision`.

    Not accelerate's own, which one process can set but once: a library trains again and again.
    """
    import torch

    low = torch.bfloat16 if precision == "fp32" else dtype_of(precision)
    return torch.autocast(device.type, low, enabled=precision != "fp32")


def bf16_in_hardware() -> bool:
    """Whether the device that trains multiplies bf16 itself: emulated, it is slower than fp32."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return sys.platform.startswith("linux") and "bf16" in _cpu_flags()


def fp16_in_hardware() -> bool:
    """Whether the device that trains multiplies fp16 itself."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= _FP16_CAPABILITY
    says = getattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", None)
    return bool(says and says())


def refuse_emulated(precision: str, has_fp16: Callable[[], bool] = fp16_in_hardware) -> None:
    """Raise ConfigError where fp16 is asked for and the device would have to emulate it."""
    if precision == "fp16" and not has_fp16():
        what = "the device that trains here does not multiply fp16 itself, and it is never emulated"
        fix = "leave `precision` at `auto`, which takes the best that the device has"
        raise ConfigError(Problem("no-fp16", what, "`precision` of the recipe", fix))


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
