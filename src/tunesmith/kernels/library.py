"""The kernels' C, compiled for this very processor by the C compiler of the machine, and kept in the cache.

torch's own operations go through memory once for each; between the products of a small model they cost as
much as these. Where there is no compiler, everything is computed by torch as before: only slower.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.data.cache import cached
from tunesmith.errors import UserError
from tunesmith.files import sha256_bytes

if TYPE_CHECKING:
    import torch

__all__ = ["SWITCH", "address", "kernels_for", "lanes", "missing", "present_kernels"]

SWITCH = "TUNESMITH_KERNELS"
"""The environment variable that turns them off"""

_SOURCES = tuple(sorted(Path(__file__).parent.glob("*.[ch]")))
_FLAGS = (
    *("-std=gnu11", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fopenmp", "-fPIC", "-shared"),
)
_NAME = "kernels.so"
_SECONDS = 120
_THREADS = "libgomp.so.1"
_REALS = {"float32": ("-DREAL=float",), "float64": ("-DREAL=double", "-DDOUBLE")}


class _NoKernelsError(Exception):
    """Why there are none."""


def kernels_for(states: torch.Tensor) -> ctypes.CDLL | None:
    """The kernels for numbers like these, where they are on a CPU and there are any."""
    import torch

    if type(states) not in (torch.Tensor, torch.nn.Parameter) or states.device.type != "cpu":
        return None
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return None
    name = str(states.dtype).removeprefix("torch.")
    return _found(name)[0] if name in _REALS else None


def present_kernels(states: torch.Tensor) -> ctypes.CDLL:
    """Those of which `kernels_for` has told that they are there."""
    kernels = kernels_for(states)
    assert kernels is not None, "it is not asked whether there are kernels"
    return kernels


def missing() -> str:
    """Why this machine has no kernels; nothing where it has."""
    return _found("float32")[1]


def address(states: torch.Tensor | None) -> int | None:
    """Where numbers lie, for C."""
    return None if states is None else states.data_ptr()


def lanes(states: torch.Tensor) -> int:
    """Of how many numbers like these a head's width must be a multiple."""
    return 64 // states.element_size()


@lru_cache
def _found(real: str) -> tuple[ctypes.CDLL | None, str]:
    """The kernels, or why there are none."""
    try:
        return _load(_compiled(real)), ""
    except (_NoKernelsError, UserError, OSError, subprocess.SubprocessError) as error:
        return None, str(error)


def _compiled(real: str) -> Path:
    if os.environ.get(SWITCH, "").lower() in ("0", "off", "no", "false"):
        raise _NoKernelsError(f"{SWITCH} turns them off")
    compiler = shutil.which("gcc")
    if not sys.platform.startswith("linux") or compiler is None:
        raise _NoKernelsError("no gcc is installed" if sys.platform.startswith("linux") else "not on Linux")
    about = {
        "kernels": sha256_bytes(b"".join(path.read_bytes() for path in _SOURCES)),
        "compiler": _answer(compiler, "--version"),
        "processor": _processor(),
        "flags": [*_FLAGS, *_REALS[real]],
    }

    def make(directory: Path) -> None:
        sources = [str(path) for path in _SOURCES if path.suffix == ".c"]
        _answer(compiler, *_FLAGS, *_REALS[real], *sources, "-o", str(directory / _NAME), "-lm")

    # whatever the user's mask says: what others can write is not loaded
    return cached(about, make, mode=0o700) / _NAME


def _answer(*words: str) -> str:
    # its words are our own
    done = subprocess.run(  # noqa: S603
        words, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise _NoKernelsError(f"{words[0]} failed: {done.stderr.strip()[:500]}")
    return done.stdout


def _processor() -> str:
    """What the compiler makes of `native`: a home directory may be shared by machines of several kinds."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    kept = [line for line in told.splitlines() if line.startswith(("model", "flags", "Features", "CPU"))]
    return "\n".join([platform.machine(), *kept])


def _load(path: Path) -> ctypes.CDLL:
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise _NoKernelsError(f"{path}: others can write it")
    try:
        # torch's own threads do the work: another library's would wait for the same cores
        ctypes.CDLL(_THREADS, mode=os.RTLD_NOLOAD)
    except OSError as error:
        raise _NoKernelsError("torch computes with other threads than gcc's") from error
    library: Any = ctypes.CDLL(str(path))
    library.gradient_squares.restype = ctypes.c_double
    return library  # type: ignore[no-any-return]
