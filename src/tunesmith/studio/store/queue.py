"""The queue: who may work on which job, for how long, and that nobody else writes about it.

A claim is one statement. It gives a lease, which its owner renews while it works; when it runs out, anyone
may claim the job again. Each claim raises the job's fence, and whatever a worker writes names the fence that
it was given: one that was frozen, and comes back after another took over, is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy.sql import ColumnElement

from tunesmith.studio.store.database import Database
from tunesmith.studio.store.job_rows import add_event
from tunesmith.studio.store.rows import add, made, one
from tunesmith.studio.store.tables import checkpoints, files, jobs, models
from tunesmith.studio.types import ENDED, Checkpoint, File, Job, JobStatus, Lease, Level, Model, Wanted

__all__ = ["Claim", "Held", "LeaseLost", "Queue"]


class LeaseLost(Exception):  # noqa: N818 (nothing is wrong with the worker: it was too late)
    """Somebody else has the job now, or it has ended."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job, and the right to write about it."""

    job: Job
    lease: Lease


class Held:
    """What the holder of a lease may write, within one transaction."""

    def __init__(self, connection: Connection, job: Job, now: float) -> None:
        self._connection = connection
        self.job = job
        """As it was when the transaction began"""
        self.now = now

    def tell(
        self,
        message: str,
        *,
        level: Level = "info",
        data: Mapping[str, Any] | None = None,
        metrics: bool = False,
    ) -> None:
        """Add an event."""
        add_event(self._connection, self.job.id, self.now, message, level=level, data=data, metrics=metrics)

    def set(self, **values: object) -> None:
        """Change columns of the job."""
        self._connection.execute(update(jobs).where(jobs.c.id == self.job.id).values(**values))

    def progress(self, step: int, *, estimated_finish: int | None) -> None:
        """Note that the job is further than before: it was not claimed in vain."""
        further = {"step": step, "attempts": 0} if step > self.job.step else {}
        self.set(estimated_finish=estimated_finish, **further)

    def release(self, status: JobStatus, **values: object) -> None:
        """Give the lease back with the job in a state that nobody works in."""
        ended = {"finished_at": int(self.now), "estimated_finish": None} if status in ENDED else {}
        self.set(
            **{"status": status, "wanted": "run", "lease_owner": None, "lease_until": None, **ended, **values}
        )

    def add(self, value: File | Checkpoint | Model) -> None:
        """Keep what the job has made."""
        match value:
            case File():
                add(self._connection, files, value)
            case Checkpoint():
                add(self._connection, checkpoints, value)
            case Model():
                add(self._connection, models, value)


class Queue:
    """Claims, leases and fenced writes.

    A lease holds `lease_seconds` after it was last renewed; a job that was claimed `max_attempts` times
    without getting further is not claimed again.
    """

    def __init__(self, database: Database, *, lease_seconds: float = 30.0, max_attempts: int = 5) -> None:
        self._database = database
        self.lease_seconds = lease_seconds
        self.max_attempts = max_attempts

    def claim_to_validate(self, owner: str) -> Claim | None:
        """The oldest job whose files nobody validates; None where there is none."""
        return self._claim(owner, _next_to_validate, {})

    def claim_to_train(self, owner: str) -> Claim | None:
        """The job that is next to be trained; None where there is none.

        First comes the project of which the fewest are at work; of these, the one that began longest ago.
        """
        return self._claim(owner, _next_to_train, {"status": "running"})

    def _claim(self, owner: str, chosen: Any, becomes: Mapping[str, Any]) -> Claim | None:
        with self._database.writing() as connection:
            now = self._database.now(connection)
            if becomes:
                becomes = {**becomes, "started_at": int(now)}
            statement = (
                update(jobs)
                .where(jobs.c.id == chosen(now, self.max_attempts).scalar_subquery())
                .values(
                    lease_owner=owner,
                    lease_until=now + self.lease_seconds,
                    fence=jobs.c.fence + 1,
                    attempts=jobs.c.attempts + 1,
                    **becomes,
                )
                .returning(jobs)
            )
            row = connection.execute(statement).mappings().one_or_none()
        if row is None:
            return None
        job = made(Job, row)
        return Claim(job, Lease(job.id, owner, job.fence))

    @contextmanager
    def held(self, lease: Lease) -> Iterator[Held]:
        """A transaction of whoever holds the lease, which it renews; raises LeaseLost where it holds no more.

        All that is written in it happens, or nothing.
        """
        with self._database.writing() as connection:
            now = self._database.now(connection)
            job = one(connection, jobs, Job, lock=True, id=lease.job_id)
            if job is None or not _holds(lease, job):
                raise LeaseLost
            renewed = update(jobs).where(jobs.c.id == job.id).values(lease_until=now + self.lease_seconds)
            connection.execute(renewed)
            yield Held(connection, job, now)

    def renew(self, lease: Lease) -> Wanted:
        """Hold on for another while, and hear what callers want of the job; raises LeaseLost."""
        with self.held(lease) as held:
            return held.job.wanted

    def abandon(self, owner: str) -> int:
        """Let others have, at once, what an owner held who is known to be gone; how many jobs that is."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            held = (jobs.c.lease_owner == owner) & (jobs.c.lease_until > now)
            return connection.execute(update(jobs).where(held).values(lease_until=now)).rowcount

    def at_rest(self, job_ids: Collection[str]) -> set[str]:
        """Those of the jobs that have ended, or are not there any more."""
        with self._database.reading() as connection:
            open_jobs = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.status.not_in(ENDED))
            return set(job_ids) - set(connection.execute(open_jobs).scalars())

    def give_up(self) -> list[Job]:
        """End the jobs that were claimed too often without getting further, and return them."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            worn = (jobs.c.attempts >= self.max_attempts) & _is_free(now)
            open_states = jobs.c.status.in_(("validating_files", "queued", "running"))
            rows = connection.execute(select(jobs).where(worn, open_states).with_for_update(skip_locked=True))
            found = [made(Job, row) for row in rows.mappings()]
            for job in found:
                _fail(connection, job, now, self.max_attempts)
        return found


def _holds(lease: Lease, job: Job) -> bool:
    """Even where its time is over: nobody else has claimed the job meanwhile."""
    return (job.fence, job.lease_owner) == (lease.fence, lease.owner)


def _is_free(now: float) -> ColumnElement[bool]:
    return jobs.c.lease_until.is_(None) | (jobs.c.lease_until <= now)


def _next_to_validate(now: float, max_attempts: int) -> Select[Any]:
    waits = (jobs.c.status == "validating_files") & _is_free(now) & (jobs.c.attempts < max_attempts)
    return select(jobs.c.id).where(waits).order_by(jobs.c.seq).limit(1).with_for_update(skip_locked=True)


def _next_to_train(now: float, max_attempts: int) -> Select[Any]:
    others = jobs.alias()
    of_the_project = others.c.project == jobs.c.project
    at_work = (
        select(func.count())
        .select_from(others)
        .where(of_the_project, others.c.status == "running", others.c.lease_until > now)
        .scalar_subquery()
    )
    began = select(func.coalesce(func.max(others.c.started_at), 0)).where(of_the_project).scalar_subquery()
    waits = jobs.c.status.in_(("queued", "running")) & _is_free(now) & (jobs.c.attempts < max_attempts)
    return (
        select(jobs.c.id)
        .where(waits)
        # what lost its worker was begun already
        .order_by((jobs.c.status == "running").desc(), at_work, began, jobs.c.seq)
        .limit(1)
        .with_for_update(skip_locked=True, of=jobs)
    )


def _fail(connection: Connection, job: Job, now: float, attempts: int) -> None:
    message = f"the job was begun {attempts} times and never got further; it needs more memory, or other data"
    error = {"code": "worker_lost", "message": message, "param": None}
    values = {
        "status": "failed",
        "error": error,
        "finished_at": int(now),
        "lease_owner": None,
        "lease_until": None,
        "fence": job.fence + 1,
    }
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
    add_event(connection, job.id, now, f"Fine-tuning job failed: {message}", level="error")
