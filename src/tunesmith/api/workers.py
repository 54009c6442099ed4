"""Several processes that answer on one port, over one model in memory."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext
from typing import IO, TYPE_CHECKING, Protocol

from prometheus_client.multiprocess import mark_process_dead

from tunesmith.api.metrics import share_metrics
from tunesmith.api.quotas import Quotas
from tunesmith.api.rates import Rates
from tunesmith.api.runner import BACKLOG, Server
from tunesmith.api.settings import Settings
from tunesmith.api.supervisor import Supervisor

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tunesmith.api.context import Context

__all__ = ["MakeApp", "serve_workers", "threads_for"]
# what a worker may need beyond the time that requests have to end
_MARGIN_SECONDS = 10.0


class MakeApp(Protocol):
    """Makes the application of one process; `quotas` hold for all."""

    def __call__(self, *, quotas: Quotas) -> FastAPI:
        """Make it."""


@contextmanager
def threads_for(workers: int) -> Iterator[int]:
    """Compute with one thread while the block runs; gives the threads that each worker may have, at least 1.

    A process that has computed with several threads must not be forked: OpenMP waits in the child for threads
    that are not there.
    """
    # the pool of the tokenizers is not carried into a child either
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield max(1, threads // workers)
    finally:
        torch.set_num_threads(threads)


def serve_workers(
    make_app: MakeApp,
    workers: int,
    *,
    threads: int,
    listener: socket.socket,
    tls: SSLContext | None,
    settings: Settings,
    on_started: Callable[[], None],
) -> None:
    """Serve what `make_app` makes in each of `workers` processes, until SIGTERM or SIGINT.

    What is in memory now is shared by all, as long as nobody changes it.
    """
    directory = tempfile.TemporaryDirectory(prefix="tunesmith-metrics-", ignore_cleanup_errors=True)
    with tempfile.TemporaryFile() as lock, directory as metrics:
        team = _Team(workers, lock, Path(metrics))
        parent = os.getpid()

        def work(place: int) -> None:
            import torch

            torch.set_num_threads(threads)
            share_metrics(team.metrics, place)
            app = make_app(quotas=team.quotas(settings))
            _Worker(app, tls, team, place, parent).run([listener])

        grace = settings.drain_seconds + settings.shutdown_seconds + _MARGIN_SECONDS
        # no worker is forked any more: the port closes with the last of them, which first takes in who waits
        supervisor = Supervisor(
            workers, work, on_signal=listener.close, on_end=team.forget, grace_seconds=grace
        )
        supervisor.run(on_started)


class _Team:
    """What the workers share: who is ready, what callers have used, and the directory of the metrics."""

    def __init__(self, workers: int, lock: IO[bytes], metrics: Path) -> None:
        self._ready = mmap.mmap(-1, workers)
        self._rates = Rates(alone=lambda: _locked(lock))
        self.metrics = metrics

    def quotas(self, settings: Settings) -> Quotas:
        """Limits that hold for all workers together."""
        return Quotas(settings, self._rates)

    def tell(self, place: int, ready: bool) -> None:
        """Whether the worker in this place takes requests."""
        self._ready[place] = int(ready)

    def all_ready(self) -> bool:
        """Whether every worker takes requests."""
        return 0 not in self._ready[:]

    def forget(self, place: int) -> None:
        """The worker in this place has ended."""
        self.tell(place, False)
        mark_process_dead(place, str(self.metrics))  # type: ignore[no-untyped-call]


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    # a lock of the process, which ends with it however it ends
    fcntl.lockf(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN)


class _Worker(Server):
    """A server that tells the others whether it is ready, and ends when its parent is gone."""

    def __init__(self, app: FastAPI, tls: SSLContext | None, team: _Team, place: int, parent: int) -> None:
        super().__init__(app, lambda: None, tls)
        self._team, self._place, self._parent = team, place, parent
        self._ours: Context = app.state.context
        self._ours.peers_ready = team.all_ready
        self._ours.may_open = self._may_open
        # whoever is free takes one connection at a time, and leaves the next to the others
        self.config.backlog = 1

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept from the port that all share."""
        await super().startup(sockets)
        for listener in sockets or []:
            # the length of the queue belongs to the port, and was just set to one connection
            listener.listen(BACKLOG)

    def _may_open(self) -> bool:
        # what one took before it can answer would wait, while others are free
        return self._ours.ready_here or self.should_exit or self._is_orphan()

    def _is_orphan(self) -> bool:
        return os.getppid() != self._parent

    async def on_tick(self, counter: int) -> bool:
        """Tell how it is, ten times a second."""
        if self._is_orphan():
            self.should_exit = True
        self._team.tell(self._place, self._ours.ready_here)
        self._ours.metrics.ready.set(float(self._ours.ready))
        return await super().on_tick(counter)
