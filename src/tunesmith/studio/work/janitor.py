"""The janitor: jobs that get nowhere are ended, and what nobody needs any more is removed."""

from __future__ import annotations

import re
import time

from tunesmith.studio.work.place import Place
from tunesmith.studio.work.resuming import forget_work

__all__ = ["Janitor", "tidy"]

_ORPHAN_SECONDS = 24 * 3600
# a remote store is slow to list, and answers for money
_ORPHANS_EVERY_SECONDS = 3600.0
_WORK = re.compile(r"work/(ftjob-[0-9a-f]+)-.+")


class Janitor:
    """Tidies once in a lease, however often it is asked to."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._next_seconds = 0.0
        self._orphans_seconds = 0.0

    def look(self) -> None:
        """Tidy where it is time. Raises StorageError."""
        now = time.monotonic()
        if now < self._next_seconds:
            return
        self._next_seconds = now + self._place.config.lease_seconds
        orphans = now >= self._orphans_seconds
        tidy(self._place, orphans=orphans)
        if orphans:
            self._orphans_seconds = now + _ORPHANS_EVERY_SECONDS


def tidy(place: Place, *, orphans: bool = True) -> None:
    """Do all of it once; any number of workers may, at any time. Raises StorageError."""
    for job in place.store.queue.give_up():
        forget_work(place, job.id)
    _work_of_ended_jobs(place)
    if orphans:
        _remove_orphans(place)


def _work_of_ended_jobs(place: Place) -> None:
    here = {path.name for path in place.work.iterdir()} if place.work.is_dir() else set()
    for job_id in place.store.queue.at_rest(here):
        forget_work(place, job_id)


def _remove_orphans(place: Place) -> None:
    """Blobs that a killed writer put there and nobody heard of, a day later."""
    before = place.store.now() - _ORPHAN_SECONDS
    old = [name for name, written in place.blobs.names(("models", "work")) if written < before]
    jobs = {found[1] for name in old if (found := _WORK.fullmatch(name))}
    wanted = place.store.blobs()
    for name in old:
        if name.startswith("models/") and name not in wanted:
            place.blobs.remove(name)
    for job_id in place.store.queue.at_rest(jobs):
        forget_work(place, job_id)
