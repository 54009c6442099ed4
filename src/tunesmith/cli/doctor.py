"""`tunesmith doctor`: what this machine has for the work."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.table import Table

from tunesmith import __version__
from tunesmith.cli.boundary import verb
from tunesmith.cli.options import AsJson
from tunesmith.cli.output import console, print_json
from tunesmith.data.cache import cache_bytes, cache_directory
from tunesmith.hub import hub_address, is_reachable
from tunesmith.kernels.library import missing
from tunesmith.training.precision import bf16_in_hardware, fp16_in_hardware

__all__ = ["command"]

_LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "scikit-learn", "pyarrow", "fastapi")


@verb("doctor")
def command(as_json: AsJson = False) -> None:
    """Show device, memory, threads, kernels, the cache, whether the model hub is reachable, library versions.

    Example: [bold]tunesmith doctor --json[/]
    """
    facts = _facts()
    if as_json:
        print_json(facts)
        return
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)


def _facts() -> dict[str, Any]:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    hub = hub_address()
    return {
        "tunesmith": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": _device(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory.total / 2**30, 1),
        "memory_free_gib": round(memory.available / 2**30, 1),
        "bf16_in_hardware": bf16_in_hardware(),
        "fp16_in_hardware": fp16_in_hardware(),
        "kernels": missing() or "compiled for this processor",
        "cache": str(cache_directory()),
        "cache_gib": round(cache_bytes() / 2**30, 1),
        "hub": hub,
        "hub_reachable": is_reachable(hub),
        **{name: _version(name) for name in _LIBRARIES},
    }


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "mps: Apple GPU"
    return f"cpu: {torch.backends.cpu.get_cpu_capability()}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
