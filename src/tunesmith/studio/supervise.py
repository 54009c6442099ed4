"""The workers of one machine: started, given their share of it, replaced when they die, ended together."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from tunesmith.api.exchange import log_event
from tunesmith.api.supervisor import pause_before
from tunesmith.studio.store import Store
from tunesmith.studio.work.place import OWNER, new_owner

__all__ = ["Share", "Workers", "cores_here", "gpus_here", "shares", "worker_command"]

_STEADY_SECONDS = 60.0
_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker has of the machine: threads, and the number of its GPU, where there are some."""

    threads: int
    gpu: int | None = None

    def environment(self) -> dict[str, str]:
        """What the worker's libraries go by."""
        found = {"OMP_NUM_THREADS": str(self.threads)}
        return found if self.gpu is None else found | {"CUDA_VISIBLE_DEVICES": str(self.gpu)}


def shares(workers: int, cores: int, gpus: Sequence[int]) -> list[Share]:
    """An equal share for each of the workers; with fewer GPUs than workers, some share one."""
    threads = max(1, cores // max(1, workers))
    return [Share(threads, gpus[at % len(gpus)] if gpus else None) for at in range(workers)]


def gpus_here() -> list[int]:
    """The numbers of the GPUs that may be used; found without torch, which a server need not load."""
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is not None:
        return [int(each) for each in asked.split(",") if each.strip().isdigit()]
    return sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*"))


def cores_here() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_command(blobs: str, directory: Path, config: Path | None) -> list[str]:
    """How a worker of this machine is started.

    Which store, is told in TUNESMITH_STORE of its environment: an address may hold a password.
    """
    options = ["--blobs", blobs, "--dir", str(directory), *(["--config", str(config)] if config else [])]
    return [sys.executable, "-m", "tunesmith", "worker", *options]


class Workers:
    """Keeps a process at work for each share, from `start` to `stop`.

    `command` is `worker_command`'s, and `environment` says its store. When a process dies, what it held is
    given to others at once. Children end when this process does, however it ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        places: Sequence[Share],
        store: Store,
        *,
        grace_seconds: float = _GRACE_SECONDS,
        pause: Callable[[int], float] = pause_before,
    ) -> None:
        self._command, self._environment, self._store = list(command), dict(environment), store
        self._grace_seconds, self._pause = grace_seconds, pause
        self._over = threading.Event()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._keep, args=(number, share), name=f"worker-{number}", daemon=True)
            for number, share in enumerate(places)
        ]

    def start(self) -> None:
        """Start all; returns at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let all end, with a checkpoint of what they train; returns when they have."""
        with self._lock:
            self._over.set()
            children = list(self._children.values())
        for child in children:
            child.terminate()
        deadline = time.monotonic() + self._grace_seconds
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
        for thread in self._threads:
            thread.join()

    @property
    def pids(self) -> list[int]:
        """The processes that are there now."""
        with self._lock:
            return [child.pid for child in self._children.values()]

    def _keep(self, number: int, share: Share) -> None:
        failures = 0
        while not self._over.is_set():
            born, owner = time.monotonic(), new_owner()
            try:
                status: int | None = self._one(number, share, owner)
            except OSError:
                status = None  # it could not be started
            if self._over.is_set():
                return
            failures = 0 if time.monotonic() - born >= _STEADY_SECONDS else failures + 1
            self._abandoned(owner)
            pause = self._pause(failures)
            fields = {"worker": number, "status": status, "pause_seconds": pause}
            log_event(f"worker {number} ended with status {status}", "worker-ended", fields, logging.ERROR)
            self._over.wait(pause)

    def _one(self, number: int, share: Share, owner: str) -> int:
        """One process from its start to its end; its exit status."""
        environment = os.environ | self._environment | share.environment() | {OWNER: owner}
        with self._lock:
            if self._over.is_set():
                return 0
            child = subprocess.Popen(  # noqa: S603 (our own command)
                self._command,
                env=environment,
                stdin=subprocess.PIPE,  # its end is how it learns of ours
                start_new_session=True,  # Ctrl-C is for this process, which hands it on
            )
            self._children[number] = child
        with child:
            status = child.wait()
        with self._lock:
            del self._children[number]
        return status

    def _abandoned(self, owner: str) -> None:
        try:
            self._store.queue.abandon(owner)
        except SQLAlchemyError as error:
            # its leases run out by themselves
            fields = {"owner": owner, "fault": type(error).__name__}
            log_event("a worker's jobs wait for their leases", "abandon-failed", fields, logging.WARNING)
