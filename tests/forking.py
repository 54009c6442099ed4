"""Forks off what tests/forked.py asks for; see there."""

from __future__ import annotations

import array
import gc
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from runpy import run_module, run_path
from typing import Any

__all__ = ["EARLY", "exit_code"]

_STREAMS = 3
_MOST_BYTES = 1 << 20
# what commands import once they have something to do
EARLY = (
    *(
        "tunesmith.cli.main",
        "tunesmith.pipeline",
        "tunesmith.checking",
        "tunesmith.comparing",
        "tunesmith.opening",
    ),
    *("torch", "accelerate", "safetensors.torch", "pyarrow.csv", "pyarrow.parquet", "jinja2", "scipy.stats"),
    *("sklearn.linear_model", "sklearn.feature_extraction.text", "rich.progress", "rich.table", "rensa"),
    *("fastapi", "sqlalchemy", "uvicorn"),
    *("transformers.models.auto.modeling_auto", "transformers.models.gpt2.modeling_gpt2"),
)


def _serve(listener: socket.socket) -> None:
    """Fork for each request and tell its exit code; returns in each child, ready to be the command."""
    waker, woken = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asking: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener, woken, *asking.values()], [], [])
        if woken in ready:
            woken.recv(_MOST_BYTES)
            _tell_ends(asking)
        if listener in ready:
            connection, _ = listener.accept()
            message, rights, *_ = connection.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(4 * _STREAMS))
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                for other in (listener, waker, woken, connection, *asking.values()):
                    other.close()
                _become(json.loads(message), rights[0][2])
                return
            for stream in array.array("i", rights[0][2]):
                os.close(stream)
            with suppress(OSError):
                connection.send(str(pid).encode())
            asking[pid] = connection
        for pid, connection in list(asking.items()):
            # whoever asked has given up
            if connection in ready:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                asking.pop(pid).close()


def _tell_ends(asking: dict[int, socket.socket]) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if connection := asking.pop(pid, None):
                with suppress(OSError):
                    connection.send(str(os.waitstatus_to_exitcode(status)).encode())
                connection.close()


def _become(asked: dict[str, Any], streams: bytes) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # a shell's background jobs ignore Ctrl-C, and so would all that they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, stream in enumerate(array.array("i", streams)):
        os.dup2(stream, place)
        os.close(stream)
    # what it starts itself ends with it, where whoever asked gives up
    os.setsid()
    os.chdir(asked["directory"])
    if "environ" in asked:
        os.environ.clear()
        os.environ.update(asked["environ"])
        tempfile.tempdir = None
    sys.argv = asked["words"]


def _main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    for name in EARLY:
        import_module(name)
    # what is never looked at again stays shared with all children
    gc.collect()
    gc.freeze()
    _serve(listener)
    # without the clearing up of modules by which Python would copy all that is shared
    os._exit(exit_code(_run))


def _run() -> None:
    """What `python` does with these words: `-c CODE`, `-m MODULE` or a file, and what is theirs."""
    match sys.argv:
        case ["-c", code, *_]:
            sys.argv = sys.argv[1:]
            sys.argv[0] = "-c"
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        case ["-m", module, *_]:
            sys.argv = sys.argv[1:]
            run_module(module, run_name="__main__", alter_sys=True)
        case _:
            run_path(sys.argv[0], run_name="__main__")


def exit_code(run: Callable[[], None]) -> int:
    """Run to the end, as Python does: the code of the exit, once all that was said is written."""
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- as Python itself tells it
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return code


if __name__ == "__main__":
    _main()
