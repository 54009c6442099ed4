"""Files that a job makes: their bytes among the blobs, and the row that is still to be added."""

from __future__ import annotations

from typing import IO

from tunesmith.files import pour
from tunesmith.studio.ids import new_id
from tunesmith.studio.types import File
from tunesmith.studio.work.place import Place

__all__ = ["kept_file"]


def kept_file(place: Place, project: str, filename: str, source: IO[bytes]) -> File:
    """Keep what `source` gives as a result file; raises StorageError."""
    file_id = new_id("file")
    blob = f"files/{file_id}"
    with place.blobs.writing(blob) as stream:
        poured = pour(source, stream)
    now = int(place.store.now())
    return File(file_id, project, now, filename, "fine-tune-results", poured.bytes, poured.sha256, blob)
