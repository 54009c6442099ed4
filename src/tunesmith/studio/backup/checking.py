"""A backup as it lies there -> one that may be believed, or all of its faults at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tunesmith.errors import Problem, StorageError
from tunesmith.files import pour, storage_errors
from tunesmith.studio.backup.copying import Tally
from tunesmith.studio.backup.manifest import (
    MANIFEST,
    Entry,
    Manifest,
    OnBytes,
    damaged,
    is_name,
    other_versions,
    read_manifest,
    table_file,
)
from tunesmith.studio.backup.rows_check import parsed_row, row_fault
from tunesmith.studio.backup.runs import job_of_work
from tunesmith.studio.store.all_rows import TABLES, Row
from tunesmith.studio.types import ENDED

__all__ = ["Checked", "check_backup"]

# of one table; where there are more, the rest says nothing new
_MOST_ROWS_TOLD = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup all of whose files are as they were written, and whose rows belong together."""

    path: Path
    manifest: Manifest
    fences: dict[str, int] = field(default_factory=dict)
    """Of the jobs that have not ended, by id"""

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of a table, in the order in which they came."""
        with (self.path / table_file(table)).open("rb") as lines:
            yield from map(parsed_row, lines)


def check_backup(backup: Path, on_bytes: OnBytes = lambda *_: None) -> Checked:
    """Read a backup to its end and change nothing.

    Raises StorageError with every file that is missing, changed or none of a backup, and every row that is
    none of its table.
    """
    manifest = read_manifest(backup)
    problems = other_versions(backup, manifest)
    total = sum(entry.bytes for entry in manifest.files.values())
    problems += _file_faults(backup, manifest, Tally("Checking", total, on_bytes))
    if problems:
        raise StorageError(problems)
    checked = Checked(backup, manifest)
    problems = [*_row_faults(checked)]
    if problems:
        raise StorageError(problems)
    return checked


def _file_faults(backup: Path, manifest: Manifest, tally: Tally) -> Iterator[Problem]:
    there = dict(_files_in(backup))
    for path, entry in manifest.files.items():
        if not is_name(path):
            yield damaged(backup / MANIFEST, f"the manifest names a file that no backup has: {path!r:.200}")
        elif path not in there:
            yield damaged(backup / path, "the file is missing")
        elif not stat.S_ISREG(there[path]):
            yield damaged(backup / path, "this is no plain file")
        elif what := _content_fault(backup / path, entry, tally):
            yield damaged(backup / path, what)
    for path in sorted(there.keys() - manifest.files.keys() - {MANIFEST}):
        yield damaged(backup / path, "the manifest does not name this file")
    for table in sorted(manifest.tables.keys() ^ TABLES.keys()):
        yield damaged(backup / MANIFEST, f"the manifest counts no rows of {table}, or there is no such table")
    for name in (name for name in map(table_file, TABLES) if name not in manifest.files):
        yield damaged(backup / name, "the manifest does not name the rows of this table")


def _files_in(backup: Path) -> Iterator[tuple[str, int]]:
    """All that lies in the directory but directories, and what each is; links are not followed."""
    for place, directories, files in os.walk(backup):
        for name in (*files, *directories):
            path = Path(place) / name
            with storage_errors(path):
                mode = path.lstat().st_mode
            if not stat.S_ISDIR(mode):
                yield path.relative_to(backup).as_posix(), mode


def _content_fault(path: Path, entry: Entry, tally: Tally) -> str | None:
    with storage_errors(path), path.open("rb") as source, Path(os.devnull).open("wb") as nowhere:
        size = os.fstat(source.fileno()).st_size
        if size != entry.bytes:
            return f"the file has {size:,} bytes, and had {entry.bytes:,} when it was written"
        if pour(source, nowhere, tally.add).sha256 != entry.sha256:
            return "the file is not as it was written: its SHA-256 is another"
    return None


def _row_faults(checked: Checked) -> Iterator[Problem]:
    held, wanted = checked.manifest.blobs(), set[str]()
    for table in TABLES:
        path = checked.path / table_file(table)
        with storage_errors(path), path.open("rb") as lines:
            yield from _table_faults(checked, table, lines, wanted)
    works = {name for name in held if job_of_work(name) in checked.fences}
    for name in sorted(wanted - held.keys()):
        yield damaged(checked.path / "blobs" / name, "a row refers to this, and it is not in the backup")
    for name in sorted(held.keys() - wanted - works):
        yield damaged(checked.path / "blobs" / name, "no row refers to this")


def _table_faults(checked: Checked, table: str, lines: IO[bytes], wanted: set[str]) -> Iterator[Problem]:
    """Note the blobs that rows refer to and the fences of open jobs, and tell what is wrong with the rows."""
    where, count, told = checked.path / table_file(table), 0, 0
    for count, line in enumerate(lines, start=1):
        what = _noted(checked, table, line, wanted)
        if what is not None and told < _MOST_ROWS_TOLD:
            told += 1
            yield damaged(Path(f"{where}:{count}"), what)
    if count != checked.manifest.tables[table]:
        what = f"there are {count:,} rows, and {checked.manifest.tables[table]:,} were written"
        yield damaged(where, what)


def _noted(checked: Checked, table: str, line: bytes, wanted: set[str]) -> str | None:
    try:
        row = parsed_row(line)
    except ValueError as error:
        return f"this is no row: {error}"
    if (what := row_fault(table, row)) is not None:
        return what
    if "blob" in row:
        wanted.add(row["blob"])
    if table == "jobs" and row["status"] not in ENDED:
        checked.fences[row["id"]] = row["fence"]
    return None
