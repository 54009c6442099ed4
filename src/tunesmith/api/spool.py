"""Spool: the directory in which batches lie, each in one of its own that only the server may read."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from tunesmith.api.batch import Batch, BatchRecord, is_batch_id
from tunesmith.errors import Problem, ServiceError
from tunesmith.files import write_text

__all__ = ["Spool", "check_spool"]

_RECORD = "batch.json"


def check_spool(place: Path | None) -> None:
    """Raise ServiceError where no batch could be kept there; it is made where it is missing."""
    if place is None:
        return
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        what = f"no batch can be kept here: {error.strerror or error}"
        fix = "name a directory that the server may write, or leave TUNESMITH_SPOOL out"
        raise ServiceError(Problem("bad-spool", what, str(place), fix)) from error


class Spool:
    """Makes, finds and removes the directories of batches below `place`."""

    def __init__(self, place: Path) -> None:
        self._place = place

    @staticmethod
    @contextmanager
    def opened(place: Path | None) -> Iterator[Spool]:
        """The spool at `place`; where there is none, one that is gone when the block ends."""
        if place is not None:
            check_spool(place)
            yield Spool(place)
            return
        with tempfile.TemporaryDirectory(prefix="tunesmith-", ignore_cleanup_errors=True) as own:
            yield Spool(Path(own))

    def make(self, record: BatchRecord) -> Batch:
        """A batch with an empty directory."""
        directory = self._place / record.id
        directory.mkdir(mode=0o700)
        return Batch(record, directory)

    def save(self, batch: Batch) -> None:
        """Keep what is known of a batch, for a server that comes later."""
        write_text(batch.directory / _RECORD, batch.record.model_dump_json())

    def remove(self, batch: Batch) -> None:
        """Remove a batch and its files."""
        shutil.rmtree(batch.directory, ignore_errors=True)

    def found(self) -> Iterator[Batch]:
        """The batches that an earlier server left; an upload that it did not end is removed."""
        for directory in sorted(self._place.iterdir()):
            if not is_batch_id(directory.name) or directory.is_symlink():
                continue
            record = None
            with contextlib.suppress(OSError, ValidationError):
                record = BatchRecord.model_validate_json((directory / _RECORD).read_bytes())
            if record is None or record.id != directory.name:
                shutil.rmtree(directory, ignore_errors=True)
            else:
                yield Batch(record, directory)
