"""Files and uploads, each of one project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, func, select, update

from tunesmith.studio.store.database import Database
from tunesmith.studio.store.job_rows import jobs_reading
from tunesmith.studio.store.requests import Fingerprint, known, note
from tunesmith.studio.store.rows import InUse, NoRoom, Order, add, listed, made, one, remove
from tunesmith.studio.store.tables import files, parts, uploads
from tunesmith.studio.types import File, Job, Page, Part, Upload, UploadStatus

__all__ = ["FileRows", "UploadRows"]


class FileRows:
    """The files that projects have."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        file: File,
        fingerprint: Fingerprint | None = None,
        *,
        keep_seconds: int | None = None,
        most_bytes: int = 0,
    ) -> File:
        """Keep a file; where it was sent again after a lost reply, return the one that is there.

        It expires after `keep_seconds`, where they are given. Raises NoRoom where the project would have more
        than `most_bytes` (0: any), and KeyReused.
        """
        with self._database.writing() as connection:
            self._database.alone(connection, file.project)
            now = self._database.now(connection)
            if (there := known(connection, file.project, "file", fingerprint, now)) is not None:
                found = one(connection, files, File, id=there, project=file.project)
                if found is not None:
                    return found
            _check_room(connection, file.project, file.bytes, most_bytes)
            kept = _begun(file, int(now), keep_seconds)
            add(connection, files, kept)
            note(connection, file.project, "file", fingerprint, kept.id, now)
        return kept

    def find(self, project: str, file_id: str) -> File | None:
        """A file of the project that has not expired."""
        with self._database.reading() as connection:
            found = one(connection, files, File, id=file_id, project=project)
            now = self._database.now(connection)
        return None if found is None or _expired(found, now) else found

    def read_by(self, job: Job, file_id: str) -> File | None:
        """A file of a job that has not ended, be the file's own time over or not."""
        with self._database.reading() as connection:
            return one(connection, files, File, id=file_id, project=job.project)

    def page(
        self, project: str, *, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> Page[File]:
        """Those of the project that have not expired; raises NoSuchCursor."""
        with self._database.reading() as connection:
            now = self._database.now(connection)
            query = select(files).where(files.c.project == project)
            query = query.where(files.c.expires_at.is_(None) | (files.c.expires_at > now))
            if purpose is not None:
                query = query.where(files.c.purpose == purpose)
            return listed(connection, files, File, query, after=after, limit=limit, order=order)

    def remove(self, project: str, file_id: str) -> File | None:
        """Forget a file and return it; its blob is the caller's to remove.

        Raises InUse where jobs that have not ended read it.
        """
        with self._database.writing() as connection:
            found = one(connection, files, File, lock=True, id=file_id, project=project)
            if found is not None and (reading := jobs_reading(connection, file_id)):
                raise InUse(reading)
            remove(connection, files, id=file_id, project=project)
        return found

    def bytes_of(self, project: str) -> int:
        """How much the project keeps, the parts of open uploads included."""
        with self._database.reading() as connection:
            return _bytes_of(connection, project)

    def take_expired(self) -> list[File]:
        """Forget the files whose time is over, of any project, but those that open jobs read; return them."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            query = select(files).where(files.c.expires_at.is_not(None), files.c.expires_at <= now)
            over = [made(File, row) for row in connection.execute(query).mappings()]
            found = [file for file in over if not jobs_reading(connection, file.id)]
            for file in found:
                remove(connection, files, id=file.id)
        return found


class UploadRows:
    """Files that come in parts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, upload: Upload, keep_seconds: int) -> Upload:
        """Begin an upload that expires after so many seconds."""
        with self._database.writing() as connection:
            now = int(self._database.now(connection))
            kept = replace(upload, created_at=now, expires_at=now + keep_seconds)
            add(connection, uploads, kept)
        return kept

    def find(self, project: str, upload_id: str) -> Upload | None:
        """An upload of the project; one whose time is over is `expired`."""
        with self._database.reading() as connection:
            found = one(connection, uploads, Upload, id=upload_id, project=project)
            now = self._database.now(connection)
        if found is not None and found.status == "pending" and found.expires_at <= now:
            return replace(found, status="expired")
        return found

    def add_part(self, part: Part, *, most_bytes: int = 0) -> Part | None:
        """Keep a part; None where its upload is not open any more. Raises NoRoom as `FileRows.add` does."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            upload = one(connection, uploads, Upload, id=part.upload_id)
            if upload is None or upload.status != "pending" or upload.expires_at <= now:
                return None
            self._database.alone(connection, upload.project)
            _check_room(connection, upload.project, part.bytes, most_bytes)
            kept = replace(part, created_at=int(now))
            add(connection, parts, kept)
        return kept

    def parts_of(self, upload_id: str) -> list[Part]:
        """The parts of an upload, in the order in which they came."""
        with self._database.reading() as connection:
            query = select(parts).where(parts.c.upload_id == upload_id).order_by(parts.c.seq)
            return [made(Part, row) for row in connection.execute(query).mappings()]

    def complete(self, upload: Upload, file: File) -> File | None:
        """Make the file of an upload, and end it; None where it is not open any more."""
        with self._database.writing() as connection:
            now = int(self._database.now(connection))
            if not _end(connection, upload.id, "completed", file.id):
                return None
            kept = _begun(file, now, upload.keep_seconds)
            add(connection, files, kept)
        return kept

    def cancel(self, upload_id: str) -> bool:
        """End an upload without a file; False where it is not open any more."""
        with self._database.writing() as connection:
            return _end(connection, upload_id, "cancelled", None)

    def take_parts_of_ended(self) -> Sequence[Part]:
        """Forget the parts of uploads that have ended or expired, of any project, and return them."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            late = (uploads.c.status == "pending") & (uploads.c.expires_at <= now)
            connection.execute(update(uploads).where(late).values(status="expired"))
            query = select(parts).join(uploads, uploads.c.id == parts.c.upload_id)
            query = query.where(uploads.c.status != "pending")
            found = [made(Part, row) for row in connection.execute(query).mappings()]
            for part in found:
                remove(connection, parts, id=part.id)
        return found


def _end(connection: Connection, upload_id: str, status: UploadStatus, file_id: str | None) -> bool:
    ended = update(uploads).where(uploads.c.id == upload_id, uploads.c.status == "pending")
    return connection.execute(ended.values(status=status, file_id=file_id)).rowcount == 1


def _bytes_of(connection: Connection, project: str) -> int:
    kept = select(func.coalesce(func.sum(files.c.bytes), 0)).where(files.c.project == project)
    open_parts = (
        select(func.coalesce(func.sum(parts.c.bytes), 0))
        .join(uploads, uploads.c.id == parts.c.upload_id)
        .where(uploads.c.project == project, uploads.c.status == "pending")
    )
    return int(connection.execute(kept).scalar_one()) + int(connection.execute(open_parts).scalar_one())


def _check_room(connection: Connection, project: str, more: int, most: int) -> None:
    if most and _bytes_of(connection, project) + more > most:
        raise NoRoom


def _begun(file: File, now: int, keep_seconds: int | None) -> File:
    """The file as it is kept: its time counts from now, however long its bytes took to come."""
    ends = file.expires_at if keep_seconds is None else now + keep_seconds
    return replace(file, created_at=now, expires_at=ends)


def _expired(file: File, now: float) -> bool:
    return file.expires_at is not None and file.expires_at <= now
