"""What a measurement ran on."""

from __future__ import annotations

import platform
import re
import time
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers

import tunesmith

__all__ = ["machine"]


def machine() -> dict[str, Any]:
    """The processor, its cores and memory, and the versions that matter."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return {
        "processor": found.group(1) if found else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": psutil.cpu_count(logical=True),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "tunesmith": tunesmith.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
