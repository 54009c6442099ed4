"""What training does about memory: keep what is freed, know when it ran out, tell how much there is."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import psutil

__all__ = ["free_bytes", "is_out_of_memory", "keep_freed_memory", "peak_memory_bytes", "release_memory"]

# malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGE = 1 << 30
# torch tells only CUDA's own allocator's answer by a type; these words are the others'
_WORDS = ("not enough memory", "can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


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


def free_bytes(processes: int = 1) -> int:
    """The free memory of the device that trains; this machine's is shared by its `processes`."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available) // processes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on whatever device: smaller pieces may fit."""
    import torch

    match error:
        case MemoryError() | torch.OutOfMemoryError():
            return True
        case RuntimeError():
            return any(words in str(error) for words in _WORDS)
        case _:
            return False


def release_memory() -> None:
    """Give what a failed try left back to the device: in pieces it may be of no use."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def peak_memory_bytes() -> int:
    """The most memory held at once: torch's on a GPU, else this process's so far."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _high_water_mark() or (peak if sys.platform == "darwin" else peak * 1024)


def _high_water_mark() -> int:
    """Linux's own; getrusage's a process inherits from the one that started it. 0: there is none."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    mark = next((line for line in lines if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(mark.split()[1]) * 1024
