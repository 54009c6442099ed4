"""What goes by its age, where the operator wants it: files, and jobs that ended long ago."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from tunesmith.studio.store.database import Database
from tunesmith.studio.store.job_rows import jobs_reading, jobs_upon
from tunesmith.studio.store.rows import made, one
from tunesmith.studio.store.tables import files, jobs, models
from tunesmith.studio.types import ENDED, File, Job, Model

__all__ = ["OldRows"]

_DAY_SECONDS = 24 * 3600
_RESULTS = "fine-tune-results"


class OldRows:
    """Each that goes does so in a transaction of its own; its blobs are the caller's to remove."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def files(self, days: int) -> list[str]:
        """Files that came so many days ago, and do not say themselves when they expire.

        Result files are not among them: they go with their jobs.
        """
        with self._database.reading() as connection:
            before = self._database.now(connection) - days * _DAY_SECONDS
            query = select(files.c.id).where(files.c.expires_at.is_(None), files.c.purpose != _RESULTS)
            return list(connection.execute(query.where(files.c.created_at <= before)).scalars())

    def take_file(self, file_id: str) -> File | None:
        """Forget a file and return it; None where it is gone, or a job that has not ended reads it."""
        with self._database.writing() as connection:
            found = one(connection, files, File, lock=True, id=file_id)
            if found is None or jobs_reading(connection, file_id):
                return None
            connection.execute(delete(files).where(files.c.id == file_id))
        return found

    def jobs(self, days: int) -> list[str]:
        """Jobs that ended so many days ago."""
        with self._database.reading() as connection:
            before = self._database.now(connection) - days * _DAY_SECONDS
            query = select(jobs.c.id).where(jobs.c.status.in_(ENDED), jobs.c.finished_at <= before)
            return list(connection.execute(query).scalars())

    def take_job(self, job_id: str) -> list[File | Model]:
        """Forget a job with its events, checkpoints, result files and the models of its epochs.

        Its own model stays. Returns the files and models; nothing goes while a job that has not ended begins
        with one of these models.
        """
        with self._database.writing() as connection:
            job = one(connection, jobs, Job, lock=True, id=job_id)
            if job is None or job.status not in ENDED:
                return []
            going: list[File | Model] = [*_models_of(connection, job), *_results_of(connection, job)]
            names = [value.id for value in going]
            if any(jobs_upon(connection, name) for name in names):
                return []
            connection.execute(delete(models).where(models.c.id.in_(names)))
            connection.execute(delete(files).where(files.c.id.in_(names)))
            # events and checkpoints go with it
            connection.execute(delete(jobs).where(jobs.c.id == job_id))
        return going


def _models_of(connection: Connection, job: Job) -> list[Model]:
    """The models of its epochs, held so that no job may begin with them meanwhile."""
    query = select(models).where(models.c.job_id == job.id, models.c.project == job.project)
    if job.fine_tuned_model is not None:
        query = query.where(models.c.id != job.fine_tuned_model)
    return [made(Model, row) for row in connection.execute(query.with_for_update()).mappings()]


def _results_of(connection: Connection, job: Job) -> list[File]:
    query = select(files).where(files.c.id.in_(job.result_files), files.c.project == job.project)
    return [made(File, row) for row in connection.execute(query.with_for_update()).mappings()]
