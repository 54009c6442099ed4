"""A worker: a process of two lanes, one that validates and one that trains, until it is told to end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from tunesmith.api.crashes import leave_no_text
from tunesmith.api.exchange import log_event, log_fault
from tunesmith.config import parse_values
from tunesmith.errors import UserError
from tunesmith.recipe import Recipe
from tunesmith.studio.blobs import blobs_at
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.store import Store
from tunesmith.studio.work.janitor import Janitor
from tunesmith.studio.work.place import Place, new_owner
from tunesmith.studio.work.training import train_claim
from tunesmith.studio.work.validating import validate_claim

__all__ = ["Worker", "opened_place", "run_worker"]

_IDLE_SECONDS = 0.5
_TROUBLED_SECONDS = 5.0
# where memory runs out, the system should end a worker, and not the server beside it
_EXPENDABLE = "500"


def opened_place(
    store: str, blobs: str, directory: Path, config: StudioConfig, owner: str | None = None
) -> Place:
    """Open what a worker works with; raises StorageError, and ConfigError where no recipe has such keys."""
    parse_values(config.recipe, Recipe, "`recipe` of studio.yaml")
    opened = Store(store, lease_seconds=config.lease_seconds, max_attempts=config.max_attempts)
    (directory / "work").mkdir(parents=True, exist_ok=True)
    return Place(opened, blobs_at(blobs, directory / "cache"), config, directory, owner or new_owner())


class Worker:
    """`ending` is set by whoever wants it to end; it rests `idle_seconds` when there is nothing to do."""

    def __init__(
        self, place: Place, ending: threading.Event | None = None, *, idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        self.place, self.ending = place, ending or threading.Event()
        self._idle_seconds = idle_seconds
        self._janitor = Janitor(place)

    def run(self) -> None:
        """Work until `ending` is set; training is in this thread, as it should be the process's main one."""
        validating = threading.Thread(target=self._lane, args=(self.validate_next,), name="validating")
        validating.start()
        try:
            self._lane(self.train_next)
        finally:
            self.ending.set()
            validating.join()

    def validate_next(self) -> bool:
        """Validate the job that is next; False where there is none, after which there was time to tidy."""
        claim = self.place.store.queue.claim_to_validate(self.place.owner)
        if claim is None:
            self._janitor.look()
            return False
        validate_claim(self.place, claim, self.ending)
        return True

    def train_next(self) -> bool:
        """Train the job that is next; False where there is none."""
        claim = self.place.store.queue.claim_to_train(self.place.owner)
        if claim is None:
            return False
        train_claim(self.place, claim, self.ending)
        return True

    def _lane(self, work_next: Callable[[], bool]) -> None:
        while not self.ending.is_set():
            try:
                pause = 0.0 if work_next() else self._idle_seconds
            except (SQLAlchemyError, UserError) as error:
                # the database, or the disk of all: nobody's job is at fault
                _say_trouble(error)
                pause = _TROUBLED_SECONDS
            except Exception as error:  # noqa: BLE001 (a lane that ends would leave jobs lying)
                log_fault(threading.current_thread().name, error)
                pause = _TROUBLED_SECONDS
            self.ending.wait(pause)


def _say_trouble(error: Exception) -> None:
    code = error.problems[0].code if isinstance(error, UserError) else type(error).__name__
    log_event(f"the worker cannot go on for now: {code}", "worker-trouble", {"code": code}, logging.ERROR)


def run_worker(place: Place, *, end_with_input: bool = False) -> None:
    """Be a worker until SIGTERM or SIGINT; with `end_with_input`, until standard input ends, too."""
    leave_no_text()
    _make_expendable()
    ending = threading.Event()
    with _signals_set(ending):
        if end_with_input:
            threading.Thread(target=_end_with_input, args=(ending,), daemon=True).start()
        log_event(f"worker {place.owner} begins", "worker-begins", {"owner": place.owner})
        Worker(place, ending).run()
        log_event(f"worker {place.owner} ends", "worker-ends", {"owner": place.owner})
    place.store.close()


def _make_expendable() -> None:
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE)


@contextmanager
def _signals_set(ending: threading.Event) -> Iterator[None]:
    before = {
        number: signal.signal(number, lambda *_: ending.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_with_input(ending: threading.Event) -> None:
    """Whoever started this process holds the other end, and takes it along when it dies."""
    with suppress(OSError, ValueError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    ending.set()
