"""The command in a process of its own, forked off one that has imported what takes seconds to import.

A command that is tested a hundred times would spend most of its time on importing torch. `Nursery` starts one
process that imports it once, and forks it for each command: what it then does, with its own directory,
streams and exit code, is what `python -m tunesmith` does. It has one thread and has computed nothing, so that
it can be forked.
"""

from __future__ import annotations

import array
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Nursery"]

_ROOT = Path(__file__).parents[1]
_STREAMS = 3
_MOST_BYTES = 1 << 20
# what commands import once they have something to do
_EARLY = (
    *(
        "tunesmith.cli.main",
        "tunesmith.pipeline",
        "tunesmith.checking",
        "tunesmith.comparing",
        "tunesmith.opening",
    ),
    *("torch", "accelerate", "safetensors.torch", "pyarrow.csv", "pyarrow.parquet", "jinja2", "scipy.stats"),
    *("sklearn.linear_model", "sklearn.feature_extraction.text", "rich.progress", "rich.table", "rensa"),
    *("transformers.models.auto.modeling_auto", "transformers.models.gpt2.modeling_gpt2"),
)


class Nursery:
    """Forks commands off; `environ` is what all of them see."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="forked-")
        place = str(Path(self._directory.name) / "socket")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(place)
        listener.listen()
        self._place = place
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(listener.fileno())],
            cwd=_ROOT,
            env=dict(environ),
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        # only the child listens: where it has died, whoever asks is refused at once
        listener.close()

    def run(
        self, words: Sequence[str], directory: Path, stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        """As `subprocess.run` of `tunesmith` with these words."""
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write(stdin)
            given.seek(0)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
                asking.connect(self._place)
                asking.settimeout(timeout)
                message = json.dumps({"words": list(words), "directory": str(directory)}).encode()
                streams = array.array("i", [stream.fileno() for stream in (given, out, err)])
                asking.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
                code = int(asking.recv(_MOST_BYTES) or b"-9")
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(list(words), code, out.read(), err.read())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()


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
            asking[pid] = connection
        for pid, connection in list(asking.items()):
            # whoever asked has given up
            if connection in ready:
                os.kill(pid, signal.SIGKILL)
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
    for place, stream in enumerate(array.array("i", streams)):
        os.dup2(stream, place)
        os.close(stream)
    os.chdir(asked["directory"])
    sys.argv = ["tunesmith", *asked["words"]]


def _main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    for name in _EARLY:
        import_module(name)
    from tunesmith.cli.main import main

    # what is never looked at again stays shared with all children
    gc.collect()
    gc.freeze()
    _serve(listener)
    _leave(main)


def _leave(main: Callable[[], None]) -> None:
    """Run to the end, without the clearing up of modules by which Python would copy all that is shared."""
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- as Python itself tells it
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _main()
