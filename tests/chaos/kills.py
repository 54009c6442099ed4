"""Servers and workers that are killed at random moments while jobs are asked for and trained."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.chaos.served import METHOD, Persistent, new_small_studio, process_serving
from tests.listening import free_port
from tests.studio import Studio, talks, weights
from tunesmith.studio.janitor import remove_orphans
from tunesmith.studio.store import Store
from tunesmith.studio.types import ENDED, Job
from tunesmith.studio.work.janitor import tidy

__all__ = ["Kills", "kill_all_along"]

_LEASE_SECONDS = 1.0
_OPEN_JOBS = 5
_WORKERS = 2
# after a kill is due: somewhere within a job
_WITHIN_SECONDS = 1.5
_PATIENCE_SECONDS = 60
_TWO_DAYS = 2 * 24 * 3600.0
_STEPS = 5


@dataclass(slots=True)
class Kills:
    """What was killed, and what became of the jobs."""

    jobs: int
    kills: Counter[str] = field(default_factory=Counter)
    """`server`, or what a worker was at -> how often it was killed there"""
    sent_again: int = 0
    """Requests that the client had to send more than once"""
    longest_wait_seconds: float = 0.0
    """The longest that a job whose worker was killed waited for another, after its lease was over"""
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    """Jobs whose model is not, bit for bit, that of one that nobody disturbed"""
    for_the_janitor: int = 0
    """What killed processes left among files and models, and nobody refers to"""
    left_over: list[str] = field(default_factory=list)
    """What lies on the disk and nobody refers to, after the janitor"""

    @property
    def faults(self) -> list[str]:
        """All that should not be."""
        return [*self.lost, *self.twice, *self.stuck, *self.different, *self.left_over]


def kill_all_along(directory: Path, base: Path, *, jobs: int, kills: int, seed: int) -> Kills:
    """Ask for so many jobs, and kill so often, evenly spread over them, until all have ended."""
    studio = new_small_studio(directory, base, lease_seconds=_LEASE_SECONDS, max_attempts=50)
    storm = _Storm(studio, random.Random(seed), Kills(jobs), free_port())
    training_file = studio.file(talks(2 * _STEPS))
    whole = weights(studio, studio.trained(storm.plain(training_file)))
    storm.start()
    asking = _Asking(storm, training_file)
    asking.start()
    try:
        for number in range(kills):
            if not storm.until(lambda: _ended(studio) * kills >= number * jobs):  # noqa: B023
                break
            storm.kill()
        storm.until(lambda: _ended(studio) > jobs)
    finally:
        asking.over.set()
        storm.end()
        asking.join()
    _judge(studio, storm.found, asking, whole)
    studio.close()
    return storm.found


@dataclass(slots=True)
class _Storm:
    studio: Studio
    chance: random.Random
    found: Kills
    port: int
    server: ForkServerProcess = field(init=False)
    workers: list[ForkServerProcess] = field(init=False)

    def plain(self, training_file: str) -> Job:
        """A job like those that are asked for."""
        return self.studio.job(training_file, hyperparameters={"n_epochs": 1})

    def start(self) -> None:
        """Begin to serve and to work."""
        self.server = process_serving(self.studio, self.port)
        self.workers = [self.studio.process() for _ in range(_WORKERS)]

    def kill(self) -> None:
        """Kill the server or a worker at some moment from now on, and begin another."""
        time.sleep(self.chance.random() * _WITHIN_SECONDS)
        at = self.chance.randrange(-1, _WORKERS)
        if at < 0:
            self.found.kills["server"] += 1
            self.server.kill()
            self.server.join()
            self.server = process_serving(self.studio, self.port)
            return
        worker = self.workers[at]
        self.found.kills[_at_work_on(self.studio, worker)] += 1
        worker.kill()
        worker.join()
        self.workers[at] = self.studio.process()

    def until(self, done: Callable[[], bool]) -> bool:
        """Wait until it is so; False, and what is stuck is told, where nothing moves any more."""
        before, since = -1, time.monotonic()
        while not done():
            found = _all_jobs(self.studio)
            self._note_waits(found)
            if (now := _progress(found)) != before:
                before, since = now, time.monotonic()
            if time.monotonic() - since > _PATIENCE_SECONDS:
                self.found.stuck += [f"{job.id} is {job.status}" for job in found if job.status not in ENDED]
                return False
            time.sleep(0.05)
        return True

    def _note_waits(self, found: list[Job]) -> None:
        now = self.studio.store.now()
        late = [now - job.lease_until for job in found if job.lease_until is not None]
        self.found.longest_wait_seconds = max([self.found.longest_wait_seconds, *late])

    def end(self) -> None:
        """Let all of them come to their ends."""
        for each in (self.server, *self.workers):
            each.terminate()
            each.join()


class _Asking(threading.Thread):
    """Asks for jobs through whatever happens, a few at a time, and looks after them."""

    def __init__(self, storm: _Storm, training_file: str) -> None:
        super().__init__(name="asking", daemon=True)
        self._storm, self._training_file = storm, training_file
        self.over = threading.Event()
        self.told: list[str] = []
        self.faults: list[str] = []

    def run(self) -> None:
        """Ask until there are enough."""
        tries = [0]

        def count(_request: object) -> None:
            tries[0] += 1

        with Persistent(f"http://127.0.0.1:{self._storm.port}") as client:
            client._client.event_hooks["request"].append(count)
            asked = 0
            while len(self.told) < self._storm.found.jobs and not self.over.is_set():
                if len(self.told) + 1 - _ended(self._storm.studio) >= _OPEN_JOBS:
                    time.sleep(0.05)
                    continue
                job = client.fine_tuning.jobs.create(
                    model="tiny",
                    training_file=self._training_file,
                    seed=7,
                    # of two that are alike to the last byte, the second would pass for the first
                    metadata={"number": str(len(self.told))},
                    method=METHOD,  # type: ignore[arg-type]
                )
                self.told.append(job.id)
                seen = client.fine_tuning.jobs.retrieve(self._storm.chance.choice(self.told))
                asked += 2
                if seen.status in ("failed", "cancelled"):
                    self.faults.append(f"{seen.id} {seen.status}: {seen.error}")
        self._storm.found.sent_again = tries[0] - asked


def _all_jobs(studio: Studio) -> list[Job]:
    return list(studio.store.jobs.page("default", metadata={}, after=None, limit=10_000).data)


def _ended(studio: Studio) -> int:
    counts = studio.store.jobs.by_status()
    return sum(counts.get(status, 0) for status in ENDED)


def _progress(found: list[Job]) -> int:
    return sum(job.fence + job.step + 3 * (job.status in ENDED) for job in found)


def _at_work_on(studio: Studio, worker: ForkServerProcess) -> str:
    held = [job for job in _all_jobs(studio) if f"-{worker.pid}-" in (job.lease_owner or "")]
    states = sorted("validating" if job.status == "validating_files" else "training" for job in held)
    return " and ".join(states) or "idle"


def _judge(studio: Studio, found: Kills, asking: _Asking, whole: str) -> None:
    # the first of all was trained before the storm
    jobs = sorted(_all_jobs(studio), key=lambda job: job.created_at)
    made = {job.id for job in jobs}
    found.lost += [*asking.faults, *(f"{job} is not there" for job in asking.told if job not in made)]
    if len(made) != found.jobs + 1:
        found.twice.append(f"{len(made) - 1} jobs were made of {found.jobs} that were asked for")
    for job in jobs:
        _judge_one(studio, found, job, whole)
    models = len(studio.store.models.all_of("default"))
    if models != len(jobs):
        found.twice.append(f"{models} models of {len(jobs)} jobs")
    _judge_disk(studio, found)


def _judge_one(studio: Studio, found: Kills, job: Job, whole: str) -> None:
    if job.status != "succeeded":
        found.lost.append(f"{job.id} {job.status}: {job.error}")
        return
    told = studio.messages(job)
    steps = [message for message in told if message.startswith("Step ")]
    ends = sum(message.startswith("New fine-tuned model") for message in told)
    if ends != 1 or len(set(steps)) != len(steps) or len(job.result_files) != 1:
        found.twice.append(f"{job.id} ended {ends} times: {told}")
    if job.step != _STEPS:
        found.lost.append(f"{job.id} ended at step {job.step}")
    if weights(studio, job) != whole:
        found.different.append(job.id)


def _judge_disk(studio: Studio, found: Kills) -> None:
    """Two days later, when the janitors have come by."""
    later = time.time() + _TWO_DAYS
    store, blobs = Store(studio.url, clock=lambda: later), studio.place.blobs
    found.for_the_janitor = len({name for name, _ in blobs.names()} - store.blobs())
    tidy(replace(studio.place, store=store))
    remove_orphans(store, blobs, now=later)
    found.left_over += sorted({name for name, _ in blobs.names()} - store.blobs())
    found.left_over += [f"work/{path.name}" for path in studio.place.work.iterdir()]
    store.close()
