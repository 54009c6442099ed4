"""Processes that are forked off one, replaced when they die, and ended together."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from tunesmith.api.exchange import log_event, log_fault

__all__ = ["Supervisor", "pause_before"]

_TO_END = frozenset({signal.SIGTERM, signal.SIGINT})
_HEARD = _TO_END | {signal.SIGCHLD}
_STEADY_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 3600.0


def pause_before(failures: int) -> float:
    """Seconds to wait with a process whose place has failed so many times in a row."""
    # no power is taken of a large number
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))


class Supervisor:
    """Keeps `count` processes at work until SIGTERM or SIGINT, which it hands on to all.

    `work` is called in each, with the number of its place; `on_end` here, whenever one has ended, and
    `on_signal` before they hear of a signal. Those that have not ended `grace_seconds` after it are killed.
    It must run in the main thread of a process without others, since only the thread that forks goes on in a
    child.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[int], None],
        *,
        on_signal: Callable[[], None],
        on_end: Callable[[int], None],
        grace_seconds: float,
    ) -> None:
        self._count, self._work, self._on_signal, self._on_end = count, work, on_signal, on_end
        self._grace_seconds = grace_seconds
        self._mask: set[signal.Signals | int] = set()
        self._places: dict[int, int] = {}
        self._born: dict[int, float] = {}
        self._failures = dict.fromkeys(range(count), 0)
        self._due = dict.fromkeys(range(count), 0.0)
        self._deadline: float | None = None

    def run(self, on_started: Callable[[], None]) -> None:
        """Start all, say so, and return when all have ended."""
        with self._signals_held():
            try:
                self._start_due()
                on_started()
                while self._places or self._due:
                    self._hear(signal.sigtimedwait(_HEARD, self._patience()))
                    self._reap()
                    self._start_due()
            except BaseException:
                self._send(signal.SIGTERM)
                raise

    @contextmanager
    def _signals_held(self) -> Iterator[None]:
        """Signals wait until they are asked for, so that none comes between two steps."""
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD))
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _patience(self) -> float:
        until = [*self._due.values(), *([] if self._deadline is None else [self._deadline])]
        return max(0.0, min(until) - time.monotonic()) if until else _LONGEST_WAIT_SECONDS

    def _hear(self, heard: signal.struct_siginfo | None) -> None:
        if heard is not None and heard.si_signo in _TO_END:
            self._due.clear()
            self._on_signal()
            self._deadline = self._deadline or time.monotonic() + self._grace_seconds
            self._send(signal.SIGTERM)
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            self._send(signal.SIGKILL)
            self._deadline = time.monotonic() + _LONGEST_WAIT_SECONDS

    def _send(self, number: signal.Signals) -> None:
        for pid in self._places:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in [place for place, due in self._due.items() if due <= now]:
            del self._due[place]
            self._start(place)

    def _start(self, place: int) -> None:
        # what is buffered would be written twice
        sys.stdout.flush()
        sys.stderr.flush()
        self._born[place] = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            self._ended(place, f"could not be started: {error.strerror}")
            return
        if not pid:
            self._be_worker(place)
        self._places[pid] = place

    def _be_worker(self, place: int) -> NoReturn:
        status = 1
        try:
            # Ctrl-C is for the parent, which hands it on
            os.setpgid(0, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            self._work(place)
            status = 0
        except BaseException as error:  # noqa: BLE001 -- nothing of the parent's may go on here
            log_fault(f"worker-{place}", error)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            # what the parent has registered for its own end is not done here
            os._exit(status)

    def _reap(self) -> None:
        for pid, place in list(self._places.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._places[pid]
                self._ended(place, _how(status))

    def _ended(self, place: int, how: str) -> None:
        self._on_end(place)
        if self._deadline is not None:
            return
        lived = time.monotonic() - self._born[place]
        self._failures[place] = 0 if lived >= _STEADY_SECONDS else self._failures[place] + 1
        pause = pause_before(self._failures[place])
        self._due[place] = time.monotonic() + pause
        text = f"worker {place} {how}; another starts in {pause:g} s"
        fields = {"worker": place, "how": how, "pause_seconds": pause}
        log_event(text, "worker-ended", fields, logging.ERROR)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"ended with status {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
