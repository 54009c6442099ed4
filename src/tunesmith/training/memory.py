"""Memory: how much is free, and that what a step frees is kept for the next one."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["free_bytes", "keep_freed_memory"]

# malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGE = 1 << 30


def keep_freed_memory() -> bool:
    """Tell glibc not to give large freed blocks back to the system; returns whether it could be told.

    A training step frees and asks for the same large buffers again and again; each return costs
    a page fault for every 4 KiB when the memory is next touched. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = [(_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, 2 * _LARGE - 1), (_M_TOP_PAD, 1 << 26)]
    answers = [mallopt(key, value) for key, value in settings]
    return all(answers)


def free_bytes() -> int:
    """The free memory of the device that trains."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)
