"""Files that a job makes: their bytes among the blobs, and the row that is still to be added."""

from __future__ import annotations

import hashlib
from typing import IO

from tunesmith.studio.ids import new_id
from tunesmith.studio.types import File
from tunesmith.studio.work.place import Place

__all__ = ["kept_file"]

_CHUNK_BYTES = 1 << 20


def kept_file(place: Place, project: str, filename: str, source: IO[bytes]) -> File:
    """Keep what `source` gives as a result file; raises StorageError."""
    file_id, digest, size = new_id("file"), hashlib.sha256(), 0
    blob = f"files/{file_id}"
    with place.blobs.writing(blob) as stream:
        while piece := source.read(_CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
            stream.write(piece)
    now = int(place.store.now())
    return File(file_id, project, now, filename, "fine-tune-results", size, digest.hexdigest(), blob)
