"""`tunesmith` in forked children of one process that has imported torch and started no thread."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from tests.forking import EARLY, exit_code

# before anything heavy is imported: a process with threads must not fork
os.environ |= {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

__all__ = ["ended", "import_heavy", "start"]

_SERVING = ("tunesmith.api.app", "tunesmith.api.runner", "tunesmith.api.workers", "tunesmith.api.loading")
# jemalloc, which pyarrow brings, stops its thread around a fork
_SAFE_THREADS = ("jemalloc_bg_thd",)


def import_heavy() -> None:
    """Import once what every child needs."""
    for name in (*EARLY, *_SERVING):
        importlib.import_module(name)
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    others = [name for name in threads if name not in _SAFE_THREADS]
    assert len(others) <= 1, f"forking would not be safe: {others}"


def start(words: list[str], log: Path) -> int:
    """Fork a child that is `tunesmith` with these words, telling all to `log`; returns its id."""
    child = os.fork()
    if not child:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.argv = ["tunesmith", *words]
        from tunesmith.cli.main import main

        os._exit(exit_code(main))
    return child


def ended(child: int) -> int | None:
    """The exit code of a child, negative for a signal, or None while it runs."""
    found, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None
