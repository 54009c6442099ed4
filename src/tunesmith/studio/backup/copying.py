"""Files on their way into a backup or out of it: hashed as they are copied, and told as they go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from tunesmith.errors import Problem, StorageError
from tunesmith.files import pour, storage_errors
from tunesmith.studio.backup.manifest import Entry, OnBytes, damaged, is_name
from tunesmith.studio.blobs import files_below

__all__ = ["Copied", "Tally", "check_room", "copied_as_written", "opened_files", "size_below"]
__all__ += ["suppressed_absence"]


class Tally:
    """Counts bytes towards a total that is known well enough, and tells how far it is."""

    def __init__(self, said: str, total: int, on_bytes: OnBytes) -> None:
        self._said, self._total, self._on_bytes = said, total, on_bytes
        self._done = 0

    def add(self, count: int) -> None:
        """Count some more."""
        self._done += count
        self._on_bytes(self._said, self._done, max(self._done, self._total))


class Copied:
    """The files that a backup has so far, below `place`, with the hash of what was written."""

    def __init__(self, place: Path, tally: Tally) -> None:
        self._place, self._tally = place, tally
        self.entries: dict[str, Entry] = {}
        """By their paths"""

    def add(self, path: str, source: IO[bytes]) -> Entry:
        """Copy what `source` gives; raises StorageError."""
        assert is_name(path), f"no name of a backup: {path}"
        target = self._place / path
        with storage_errors(target):
            self._make(target.parent)
            with target.open("xb") as stream:
                poured = pour(source, stream, self._tally.add)
        self.entries[path] = Entry(bytes=poured.bytes, sha256=poured.sha256)
        return self.entries[path]

    def drop(self, blob: str) -> None:
        """Take a blob out again, with all files of a directory."""
        path = f"blobs/{blob}"
        for name in [name for name in self.entries if name == path or name.startswith(f"{path}/")]:
            del self.entries[name]
        if (self._place / path).is_dir():
            shutil.rmtree(self._place / path)
        else:
            (self._place / path).unlink(missing_ok=True)

    def _make(self, directory: Path) -> None:
        """Make a directory and those above it, which nobody else may read either."""
        missing = [each for each in (directory, *directory.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(mode=0o700)


def copied_as_written(source: Path, target: IO[bytes], entry: Entry, tally: Tally) -> None:
    """Copy a file of a backup; raises StorageError `backup-damaged` where it has changed."""
    with storage_errors(source), source.open("rb") as stream:
        poured = pour(stream, target, tally.add)
    if (poured.bytes, poured.sha256) != (entry.bytes, entry.sha256):
        raise StorageError(damaged(source, "the file has changed since it was checked"))


@contextmanager
def opened_files(directory: Path) -> Iterator[dict[str, IO[bytes]]]:
    """All files of a directory by their paths in it, opened at once: who removes them takes none away."""
    with ExitStack() as opened:
        found: dict[str, IO[bytes]] = {}
        for path in files_below(directory):
            with suppress(FileNotFoundError):
                stream = opened.enter_context(path.open("rb"))
                found[path.relative_to(directory).as_posix()] = stream
        yield found


def size_below(directory: Path) -> int:
    """How many bytes the files of a directory have; of those that go meanwhile, none."""
    total = 0
    for path in files_below(directory):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


@contextmanager
def suppressed_absence() -> Iterator[None]:
    """Go on behind the block where something in it is not there."""
    try:
        yield
    except StorageError as error:
        if all(problem.code != "no-file" for problem in error.problems):
            raise


def check_room(where: str, free: int | None, needed: int) -> None:
    """Raise StorageError `disk-low` where so many bytes do not fit; where nobody knows, nothing is said."""
    if free is not None and free < needed:
        what = f"this takes {needed:,} bytes, and there is room for {free:,}"
        raise StorageError(Problem("disk-low", what, where, "free some space, or name another place"))
