"""Heartbeat: a lease is kept while work goes on, and what callers want of the job is heard."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from tunesmith.api.exchange import log_event
from tunesmith.studio.store.queue import LeaseLost, Queue
from tunesmith.studio.types import Lease, Wanted
from tunesmith.studio.work.diary import Diary

__all__ = ["Heartbeat", "Stopped"]

_LONGEST_PAUSE_SECONDS = 1.0
_BEATS_A_LEASE = 4


class Stopped(Exception):  # noqa: N818 (nothing is wrong)
    """The work on a job ends here, and the job goes on later, elsewhere, or never."""


class Heartbeat:
    """While its block runs, renews a lease, and writes down what `diary` holds.

    `ending` is set when the worker itself is to end.
    """

    def __init__(self, queue: Queue, lease: Lease, ending: threading.Event, diary: Diary | None = None):
        self._queue, self._lease, self._ending = queue, lease, ending
        self._diary = diary or Diary()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{lease.job_id}", daemon=True)
        self.wanted: Wanted = "run"
        self.lost = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Beat no more; returns when the last beat is over."""
        self._over.set()
        self._thread.join()

    @property
    def must_stop(self) -> bool:
        """Whether the work should end at its next good place."""
        return self.lost or self.wanted != "run" or self._ending.is_set()

    @property
    def in_vain(self) -> bool:
        """Whether nothing of the work will be used."""
        return self.lost or self.wanted == "cancel"

    def go_on(self) -> None:
        """Raise Stopped where the work should end."""
        if self.must_stop:
            raise Stopped

    def _beat(self) -> None:
        pause = min(_LONGEST_PAUSE_SECONDS, self._queue.lease_seconds / _BEATS_A_LEASE)
        while not self.lost and not self._over.wait(pause):
            try:
                with self._queue.held(self._lease) as held:
                    self.wanted = held.job.wanted
                    told = self._diary.write(held)
                self._diary.forget(told)
            except LeaseLost:
                self.lost = True
            except SQLAlchemyError as error:
                # the lease holds a while: the database may be back by then
                fields = {"job": self._lease.job_id, "fault": type(error).__name__}
                log_event(f"no heartbeat: {fields}", "heartbeat-missed", fields, logging.WARNING)
