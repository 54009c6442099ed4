"""The command in a process of its own, forked off one that has imported what takes seconds to import.

A command that is tested a hundred times would spend most of its time on importing torch. `Nursery` starts one
process that imports it once, and forks it for each command: what it then does, with its own directory,
streams and exit code, is what `python -m tunesmith` does. It has one thread and has computed nothing, so that
it can be forked. For shells and launchers there are scripts, `tunesmith` and `python`, that pass all of their
own on: words, directory, environment, streams, signals and the end.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, Self

__all__ = ["Forked", "Nursery", "environment", "nursery"]

_ROOT = Path(__file__).parents[1]
# needs no package, so that it is there at once; its own end by SIGKILL ends what it has asked for
_SCRIPT = """#!{python} -IS
import array, json, os, signal, socket, sys

asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
asking.connect({place!r})
asked = {{"words": {first!r} + sys.argv[1:], "directory": os.getcwd(), "environ": dict(os.environ)}}
asking.sendmsg(
    [json.dumps(asked).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
)
pid = int(asking.recv(100))

def pass_on(number, _):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has just ended, and its code is on the way

passed = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
for number in passed:
    signal.signal(number, pass_on)
code = int(asking.recv(100) or b"-9")
# it is over: a signal that comes now, even to a Python that winds up, must not change how it ended
for number in passed:
    signal.signal(number, signal.SIG_IGN)
if code < 0:
    if code != -9:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_MOST_BYTES = 1 << 20


class Nursery:
    """Forks commands off; `environ` is what all of them see."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="forked-")
        place = str(Path(self._directory.name) / "socket")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(place)
        listener.listen()
        self._place = place
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(listener.fileno())],
            cwd=_ROOT,
            env=dict(environ),
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self.tunesmith = self._script("tunesmith", ["-m", "tunesmith"])
        self.python = self._script("python", [])
        # only the child listens: where it has died, whoever asks is refused at once
        listener.close()

    def _script(self, name: str, first: list[str]) -> Path:
        script = Path(self._directory.name) / name
        script.write_text(_SCRIPT.format(python=sys.executable, place=self._place, first=first))
        script.chmod(0o755)
        return script

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
            asked = {"words": ["-m", "tunesmith", *words], "directory": str(directory)}
            with Forked(self._place, asked, [stream.fileno() for stream in (given, out, err)]) as process:
                code = process.wait(timeout)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(list(words), code, out.read(), err.read())

    def start(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        directory: Path | None = None,
        *,
        stdin: int = subprocess.DEVNULL,
        stderr: IO[str] | int = subprocess.PIPE,
    ) -> Forked:
        """As `subprocess.Popen` of `python` with these words, whose standard output is a pipe."""
        asked = {"words": list(words), "directory": str(directory or Path.cwd()), "environ": dict(environ)}
        ours: list[IO[str] | None] = []
        theirs: list[int] = []
        for place, wanted in enumerate((stdin, subprocess.PIPE, stderr)):
            mine, its = _stream(wanted, "w" if place == 0 else "r")
            ours.append(mine)
            theirs.append(its)
        try:
            return Forked(self._place, asked, theirs, *ours)
        finally:
            for stream in theirs:
                os.close(stream)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()


class Forked:
    """A process that was forked off; it is used as a `subprocess.Popen` is."""

    def __init__(
        self,
        place: str,
        asked: dict[str, Any],
        streams: list[int],
        stdin: IO[str] | None = None,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.returncode: int | None = None
        self._asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asking.connect(place)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))
        self._asking.sendmsg([json.dumps(asked).encode()], [rights])
        self.pid = int(self._asking.recv(_MOST_BYTES))

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self._asking.settimeout(timeout)
            try:
                self.returncode = int(self._asking.recv(_MOST_BYTES) or b"-9")
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.001)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to it, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What else it says on standard output and error, once it has ended."""
        with ThreadPoolExecutor(2) as pool:
            said = [pool.submit(stream.read) if stream else None for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            out, err = (stream.result() if stream else "" for stream in said)
        self.close()
        return out, err

    def close(self) -> None:
        """Let go of its streams; where it has not ended, it is killed."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self._asking.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stream(wanted: IO[str] | int, mode: Literal["r", "w"]) -> tuple[IO[str] | None, int]:
    """Our end, if it has two, and the other's."""
    if wanted == subprocess.DEVNULL:
        return None, os.open(os.devnull, os.O_RDWR)
    if not isinstance(wanted, int):
        return None, os.dup(wanted.fileno())
    reading, writing = os.pipe()
    ours, theirs = (reading, writing) if mode == "r" else (writing, reading)
    return os.fdopen(ours, mode, encoding="utf-8"), theirs


@cache
def nursery() -> Nursery:
    """The one of this process."""
    made = Nursery(environment())
    atexit.register(made.close)
    return made


def environment(**more: str) -> dict[str, str]:
    """What the command sees: one thread, a plain terminal of 80 columns, and no network."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "TUNESMITH_CACHE")
        if name in os.environ
    }
    fixed = {
        "COLUMNS": "80",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "TERM": "dumb",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**kept, **fixed, **more}
