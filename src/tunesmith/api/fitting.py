"""Whether a model that is to be loaded fits into the memory that is free."""

from __future__ import annotations

import psutil

from tunesmith.api.refusal import Refusal

__all__ = ["check_fits", "free_memory", "too_large"]

# beside its weights a model needs room to answer in
_ROOM = 1.25


def free_memory() -> int:
    """Bytes that programs may still take."""
    return int(psutil.virtual_memory().available)


def check_fits(weights: int, free: int, param: str) -> None:
    """Raise Refusal `model-too-large` where `weights` bytes, and room to answer in, are not free."""
    needed = int(_ROOM * weights)
    if needed > free:
        raise too_large(f"it needs about {needed:,} bytes of memory, and {free:,} are free", param)


def too_large(why: str, param: str) -> Refusal:
    """What a request hears whose model does not fit."""
    return Refusal("model-too-large", f"the model is not loaded: {why}", param=param)
