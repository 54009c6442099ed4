"""Store: all that a studio keeps, by what it is about."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from tunesmith.studio.store.all_rows import AllRows
from tunesmith.studio.store.database import Database
from tunesmith.studio.store.file_rows import FileRows, UploadRows
from tunesmith.studio.store.job_rows import JobRows
from tunesmith.studio.store.model_rows import ModelRows
from tunesmith.studio.store.old_rows import OldRows
from tunesmith.studio.store.queue import Queue
from tunesmith.studio.store.tables import files, models, parts

__all__ = ["Store"]


class Store:
    """Opened once by each process; safe for several threads. Raises StorageError; see `Database`."""

    def __init__(
        self,
        url: str,
        *,
        lease_seconds: float = 30.0,
        max_attempts: int = 5,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = Database(url, clock=clock)
        self.files = FileRows(self._database)
        self.uploads = UploadRows(self._database)
        self.jobs = JobRows(self._database)
        self.queue = Queue(self._database, lease_seconds=lease_seconds, max_attempts=max_attempts)
        self.models = ModelRows(self._database)
        self.old = OldRows(self._database)
        self.all_rows = AllRows(self._database)

    def now(self) -> float:
        """The time that all who use the store agree on, in seconds since 1970."""
        with self._database.reading() as connection:
            return self._database.now(connection)

    def blobs(self) -> set[str]:
        """The names of all blobs that something refers to."""
        with self._database.reading() as connection:
            found = [set(connection.execute(select(of.c.blob)).scalars()) for of in (files, parts, models)]
        return set().union(*found)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
