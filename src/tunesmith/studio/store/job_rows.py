"""Jobs as their owners see them: made, listed, asked to pause, go on or end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from sqlalchemy import Connection, exists, func, select, update
from sqlalchemy.sql import ColumnElement

from tunesmith.studio.ids import is_tuned, new_id
from tunesmith.studio.store.database import Database
from tunesmith.studio.store.requests import Fingerprint, known, note
from tunesmith.studio.store.rows import NoRoom, add, listed, made, one
from tunesmith.studio.store.tables import checkpoints, events, files, jobs, models
from tunesmith.studio.types import ENDED, Checkpoint, Event, Job, JobStatus, Level, Page

__all__ = ["Act", "Gone", "JobRows", "WrongState", "add_event", "jobs_reading", "jobs_upon"]

Act = Literal["cancel", "pause", "resume"]

# from which states each act leads where, while nobody works on the job
_IDLE: Mapping[Act, Mapping[JobStatus, JobStatus]] = {
    "cancel": {"validating_files": "cancelled", "queued": "cancelled", "paused": "cancelled"},
    "pause": {"queued": "paused"},
    "resume": {"paused": "queued"},
}
_SAID: Mapping[Act, str] = {
    "cancel": "Fine-tuning job cancelled",
    "pause": "Fine-tuning job paused",
    "resume": "Fine-tuning job resumed, moving job to queued state",
}


class WrongState(Exception):  # noqa: N818 (it is told as a Refusal)
    """What is asked of a job cannot be done in the state that it is in."""

    def __init__(self, status: JobStatus) -> None:
        super().__init__(status)
        self.status = status


class Gone(Exception):  # noqa: N818 (it is told as a Refusal)
    """What a new job needs was removed meanwhile."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class JobRows:
    """The jobs of projects, with what they tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        job: Job,
        fingerprint: Fingerprint | None = None,
        *,
        most_open: int = 0,
        with_all: bool = False,
    ) -> Job:
        """Keep a new job; where it was asked for again after a lost reply, return the one that is there.

        `with_all` raises Gone where a file or tuned model that it names is not there. Raises NoRoom where the
        project has `most_open` jobs (0: any number) that have not ended, and KeyReused.
        """
        with self._database.writing() as connection:
            self._database.alone(connection, job.project)
            now = self._database.now(connection)
            if (there := known(connection, job.project, "job", fingerprint, now)) is not None:
                found = one(connection, jobs, Job, id=there, project=job.project)
                if found is not None:
                    return found
            if with_all:
                _check_there(connection, job)
            if most_open and _open_of(connection, job.project) >= most_open:
                raise NoRoom
            kept = replace(job, created_at=int(now))
            add(connection, jobs, kept)
            note(connection, job.project, "job", fingerprint, kept.id, now)
            add_event(connection, kept.id, now, f"Created fine-tuning job: {kept.id}")
            add_event(connection, kept.id, now, f"Validating training file: {kept.training_file}")
        return kept

    def find(self, project: str, job_id: str) -> Job | None:
        """A job of the project."""
        with self._database.reading() as connection:
            return one(connection, jobs, Job, id=job_id, project=project)

    def by_status(self) -> dict[JobStatus, int]:
        """How many jobs of all projects there are in each state that any is in."""
        with self._database.reading() as connection:
            counted = select(jobs.c.status, func.count().label("number")).group_by(jobs.c.status)
            return {row.status: row.number for row in connection.execute(counted)}

    def page(
        self, project: str, *, metadata: Mapping[str, str] | None, after: str | None, limit: int
    ) -> Page[Job]:
        """The jobs of the project that have all these metadata, newest first; raises NoSuchCursor.

        With None for `metadata`, those that have none.
        """
        query = select(jobs).where(jobs.c.project == project)
        if metadata is None:
            query = query.where(jobs.c.metadata.is_(None))
        for name, value in (metadata or {}).items():
            query = query.where(self._has(name, value))
        with self._database.reading() as connection:
            return listed(connection, jobs, Job, query, after=after, limit=limit)

    def events(self, job_id: str, *, after: str | None, limit: int) -> Page[Event]:
        """What a job has told, newest first; raises NoSuchCursor."""
        with self._database.reading() as connection:
            query = select(events).where(events.c.job_id == job_id)
            return listed(connection, events, Event, query, after=after, limit=limit)

    def events_since(self, job_id: str, seq: int) -> tuple[list[Event], int]:
        """What a job has told after its event number `seq`, oldest first, and the number of the last one."""
        with self._database.reading() as connection:
            query = select(events).where(events.c.job_id == job_id, events.c.seq > seq)
            rows = list(connection.execute(query.order_by(events.c.seq)).mappings())
        return [made(Event, row) for row in rows], rows[-1]["seq"] if rows else seq

    def number_of(self, job_id: str, event_id: str) -> int | None:
        """The number of an event of a job, for `events_since`; None where it has no such event."""
        query = select(events.c.seq).where(events.c.job_id == job_id, events.c.id == event_id)
        with self._database.reading() as connection:
            found: int | None = connection.execute(query).scalar_one_or_none()
        return found

    def _has(self, name: str, value: str) -> ColumnElement[bool]:
        if not self._database.is_sqlite:
            found: ColumnElement[bool] = jobs.c.metadata[name].as_string() == value
            return found
        # SQLite writes a name into a path, in which a quotation mark cannot stand
        pairs = func.json_each(jobs.c.metadata).table_valued("key", "value")
        return exists(select(1).select_from(pairs).where(pairs.c.key == name, pairs.c.value == value))

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[Checkpoint]:
        """The checkpoints of a job, newest first; raises NoSuchCursor."""
        with self._database.reading() as connection:
            query = select(checkpoints).where(checkpoints.c.job_id == job_id)
            return listed(connection, checkpoints, Checkpoint, query, after=after, limit=limit)

    def ask(self, project: str, job_id: str, act: Act) -> Job | None:
        """Cancel, pause or resume a job; None where there is none, WrongState where it cannot be done.

        A job at work is told to stop, and does so at its next step; one that is stopping already may still be
        told to cancel.
        """
        with self._database.writing() as connection:
            job = one(connection, jobs, Job, lock=True, id=job_id, project=project)
            if job is None:
                return None
            now = self._database.now(connection)
            at_work = job.status == "running" and (job.lease_until or 0) > now
            values = _asked_at_work(job, act) if at_work else _asked_idle(job, act, now)
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
            if "status" in values:
                add_event(connection, job.id, now, _SAID[act])
            return one(connection, jobs, Job, id=job_id)


def _check_there(connection: Connection, job: Job) -> None:
    """Hold what the job needs, so that nobody removes it before the job is there."""
    needed = {"training_file": job.training_file, "validation_file": job.validation_file}
    for field, file_id in needed.items():
        query = select(files.c.id).where(files.c.id == file_id, files.c.project == job.project)
        if file_id is not None and connection.execute(query.with_for_update()).first() is None:
            raise Gone(field)
    if is_tuned(job.model):
        named = select(models.c.id).where(models.c.id == job.model, models.c.project == job.project)
        if connection.execute(named.with_for_update()).first() is None:
            raise Gone("model")


def _open_of(connection: Connection, project: str) -> int:
    query = select(func.count()).where(jobs.c.project == project, jobs.c.status.not_in(ENDED))
    return int(connection.execute(query).scalar_one())


def jobs_reading(connection: Connection, file_id: str) -> list[str]:
    """The jobs that have not ended and read a file."""
    reads = (jobs.c.training_file == file_id) | (jobs.c.validation_file == file_id)
    query = select(jobs.c.id).where(reads, jobs.c.status.not_in(ENDED))
    return list(connection.execute(query).scalars())


def jobs_upon(connection: Connection, model_id: str) -> list[str]:
    """The jobs that have not ended and begin with a model."""
    query = select(jobs.c.id).where(jobs.c.model == model_id, jobs.c.status.not_in(ENDED))
    return list(connection.execute(query).scalars())


def _asked_at_work(job: Job, act: Act) -> dict[str, Any]:
    """A worker hears of it at its next step; until then a pause can be taken back."""
    if act == "resume":
        if job.wanted != "pause":
            raise WrongState(job.status)
        return {"wanted": "run"}
    return {"wanted": "cancel" if "cancel" in (act, job.wanted) else "pause"}


def _asked_idle(job: Job, act: Act, now: float) -> dict[str, Any]:
    # what was running and lost its worker waits to be claimed again
    status: JobStatus = "queued" if job.status == "running" else job.status
    if status not in _IDLE[act]:
        raise WrongState(job.status)
    became = _IDLE[act][status]
    ended = {"finished_at": int(now)} if became in ENDED else {}
    # whoever still believes to hold it is refused
    loose = {"lease_owner": None, "lease_until": None, "fence": job.fence + 1, "wanted": "run"}
    return {"status": became, "attempts": 0, **loose, **ended}


def add_event(
    connection: Connection,
    job_id: str,
    now: float,
    message: str,
    *,
    level: Level = "info",
    data: Mapping[str, Any] | None = None,
    metrics: bool = False,
) -> None:
    """Let a job tell something."""
    kind: Literal["message", "metrics"] = "metrics" if metrics else "message"
    add(connection, events, Event(new_id("event"), job_id, int(now), level, message, kind, data))
