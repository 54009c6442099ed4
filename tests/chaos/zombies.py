"""Workers that are frozen past their leases, and wake when others have their jobs: they change nothing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.chaos.served import new_small_studio
from tests.studio import WARM, Studio, talks, weights, work
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.store import Store
from tunesmith.studio.store.queue import Held, LeaseLost, Queue
from tunesmith.studio.types import ENDED, Job, Lease

__all__ = ["Zombies", "freeze_again_and_again"]

_LEASE_SECONDS = 1.0
_WITHIN_SECONDS = 0.4
_WORKERS = 4
_SECOND = "second"
# long enough that none has ended when it is frozen, several times over
_EPOCHS = 6


@dataclass(slots=True)
class Zombies:
    """What woke too late."""

    frozen: int = 0
    refused: int = 0
    """Of these, whose first write after they woke was refused, and that changed nothing"""
    while_they_wrote: int = 0
    """Not counted above: nobody can take over from one that was frozen while it held the database"""
    jobs: int = 0
    faults: list[str] = field(default_factory=list)
    """Zombies that changed something, and jobs that did not end as if nobody had been frozen"""


def freeze_again_and_again(directory: Path, base: Path, *, zombies: int, seed: int) -> Zombies:
    """Freeze workers at random moments of their jobs until there were so many zombies."""
    studio = new_small_studio(directory, base, lease_seconds=_LEASE_SECONDS, max_attempts=1000, kept_epochs=0)
    found, chance, training_file = Zombies(), random.Random(seed), studio.file(talks(10))
    whole = weights(studio, studio.trained(_job(studio, training_file)))
    second = Store(studio.url, lease_seconds=3600)
    workers = [_watched(studio) for _ in range(_WORKERS)]
    jobs: list[Job] = []
    try:
        while found.frozen < zombies:
            while sum(studio.found(job).status not in ENDED for job in jobs) < _WORKERS:
                jobs.append(_job(studio, training_file))
            _freeze(studio, second, workers, jobs, found, chance)
        studio.wait(lambda: studio.ended(jobs))
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        second.close()
    found.jobs = len(jobs)
    found.faults += [fault for job in jobs for fault in _faults(studio, studio.found(job), whole)]
    studio.close()
    return found


def _job(studio: Studio, training_file: str) -> Job:
    return studio.job(training_file, hyperparameters={"n_epochs": _EPOCHS})


def _watched(studio: Studio) -> ForkServerProcess:
    """A worker that notes in `refused` whose writes were."""
    place: Any = (studio.url, studio.blobs, studio.directory, studio.config)
    made = WARM.Process(target=_work_watched, args=place, daemon=True)
    made.start()
    return made


def _work_watched(url: str, blobs: str, directory: Path, config: StudioConfig) -> None:
    held = Queue.held

    @contextmanager
    def watched(queue: Queue, lease: Lease) -> Iterator[Held]:
        try:
            with held(queue, lease) as holds:
                yield holds
        except LeaseLost:
            with (directory / "refused").open("a") as stream:
                stream.write(f"{lease.job_id} {lease.fence}\n")
            raise

    Queue.held = watched  # type: ignore[assignment, method-assign]
    work(url, blobs, directory, config)


def _freeze(
    studio: Studio,
    second: Store,
    workers: list[ForkServerProcess],
    jobs: list[Job],
    found: Zombies,
    chance: random.Random,
) -> None:
    """Freeze all workers, let others take over whatever they trained, and wake them."""
    frozen = []
    for worker in workers:
        time.sleep(chance.random() * _WITHIN_SECONDS)
        os.kill(worker.pid or 0, signal.SIGSTOP)
        if _holds_the_database(studio):
            os.kill(worker.pid or 0, signal.SIGCONT)
            found.while_they_wrote += 1
        else:
            frozen.append(worker)
    held = [job for worker in frozen if (job := _held_by(studio, worker.pid, jobs)) is not None]
    late = _taken_over(studio, second, held)
    before = [_told(studio, job) for job in late]
    for worker in frozen:
        os.kill(worker.pid or 0, signal.SIGCONT)
    studio.wait(lambda: all(f"{job.id} {job.fence}\n" in _refused(studio) for job in late))
    found.frozen += len(late)
    found.refused += sum(_told(studio, job) == told for job, told in zip(late, before, strict=True))
    second.queue.abandon(_SECOND)


def _holds_the_database(studio: Studio) -> bool:
    """Whether nobody can write: not for a moment, as while another writes, but for ever."""
    with closing(sqlite3.connect(studio.directory / "studio.db", timeout=2)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def _held_by(studio: Studio, pid: int | None, jobs: list[Job]) -> Job | None:
    """The job that a frozen worker trains, where it trains one."""
    at_work = [job for job in map(studio.found, jobs) if job.status == "running"]
    return next((job for job in at_work if f"-{pid}-" in (job.lease_owner or "")), None)


def _taken_over(studio: Studio, second: Store, late: list[Job]) -> list[Job]:
    """Let another have these jobs once their leases are over; those that it got."""
    studio.wait(lambda: all(studio.store.now() > (studio.found(job).lease_until or 0) for job in late))
    claims = iter(lambda: second.queue.claim_to_train(_SECOND), None)
    taken = {claim.job.id for claim in claims if claim is not None}
    return [job for job in late if job.id in taken]


def _told(studio: Studio, job: Job) -> tuple[Any, ...]:
    models = sorted(model.id for model in studio.store.models.all_of("default") if model.job_id == job.id)
    return studio.found(job), studio.messages(job), models


def _refused(studio: Studio) -> str:
    place = studio.directory / "refused"
    return place.read_text() if place.exists() else ""


def _faults(studio: Studio, job: Job, whole: str) -> Iterator[str]:
    if job.status != "succeeded":
        yield f"{job.id} {job.status}: {job.error}"
        return
    if weights(studio, job) != whole:
        yield f"{job.id} has other weights"
    told = studio.messages(job)
    steps = [message for message in told if message.startswith("Step ")]
    if len(steps) != len(set(steps)) or sum(each.startswith("New fine-tuned") for each in told) != 1:
        yield f"{job.id} told something twice"
