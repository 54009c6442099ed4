"""A studio -> a backup of it, while it is served or not.

First the rows of one moment, then what they refer to: blobs never change, so they are still those of that
moment. What its owner removes meanwhile is left out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith import __version__
from tunesmith.errors import Problem, StorageError
from tunesmith.files import sha256_file, staged_directory, storage_errors
from tunesmith.studio.backup.copying import (
    Copied,
    Tally,
    check_room,
    opened_files,
    size_below,
    suppressed_absence,
)
from tunesmith.studio.backup.manifest import (
    BESIDE,
    FORMAT,
    Entry,
    Manifest,
    OnBytes,
    table_file,
    write_manifest,
)
from tunesmith.studio.backup.runs import kept_works, local_runs, name_of_work
from tunesmith.studio.backup.source_faults import changed_sources, lost
from tunesmith.studio.blobs import Blobs, blobs_at
from tunesmith.studio.serving import Setup
from tunesmith.studio.store import Store
from tunesmith.studio.store.all_rows import TABLES, Row, Snapshot
from tunesmith.studio.store.tables import VERSION
from tunesmith.studio.types import ENDED

__all__ = ["BackedUp", "back_up"]

_TRIES = 3


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What came of it."""

    manifest: Manifest
    problems: tuple[Problem, ...]
    """Warnings: what is in the backup as it lay in the studio, and lay there damaged"""


@dataclass(slots=True)
class _Rows:
    """What was learned of the rows while they were written down."""

    counts: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, Row] = field(default_factory=dict)
    """What refers to each blob"""
    open_jobs: list[str] = field(default_factory=list)


def back_up(setup: Setup, out: Path, on_bytes: OnBytes = lambda *_: None) -> BackedUp:
    """Write a backup to `out`, which is there whole or not at all; others may go on working meanwhile.

    Raises StorageError.
    """
    _check_places(setup, out)
    blobs = blobs_at(setup.blobs, setup.directory / "cache")
    with closing(Store(setup.store_url)) as store, staged_directory(out, mode=0o700) as place:
        return _Taking(setup, store, blobs, place).take(on_bytes)


def _check_places(setup: Setup, out: Path) -> None:
    with storage_errors(out):
        if out.exists() or out.is_symlink():
            what, fix = "there is something already", "name a directory that is not there yet"
            raise StorageError(Problem("exists", what, str(out), fix))
    database = setup.directory / "studio.db" if setup.config.store is None else setup.directory
    if not database.exists():
        what, fix = "there is no studio here", "name the directory that `tunesmith studio` serves"
        raise StorageError(Problem("no-studio", what, str(setup.directory), fix))


class _Taking:
    def __init__(self, setup: Setup, store: Store, blobs: Blobs, place: Path) -> None:
        self._setup, self._store, self._blobs, self._place = setup, store, blobs, place
        self._rows = _Rows()

    def take(self, on_bytes: OnBytes) -> BackedUp:
        with self._store.all_rows.snapshot() as snapshot:
            self._take_rows(snapshot)
            moment = int(snapshot.now)
        total = self._bytes()
        check_room(str(self._place.parent), shutil.disk_usage(self._place).free, total)
        copied = Copied(self._place, Tally("Copying", total, on_bytes))
        missing = {name for name in self._rows.blobs if not self._copy(copied, name)}
        self._copy_work(copied)
        self._copy_beside(copied)
        self._leave_out_removed(copied, missing)
        problems = changed_sources(self._place, copied.entries, self._rows.blobs)
        return BackedUp(self._sealed(copied, moment), tuple(problems))

    def _take_rows(self, snapshot: Snapshot) -> None:
        (self._place / "tables").mkdir(mode=0o700)
        for table in TABLES:
            rows = snapshot.rows(table)
            self._rows.counts[table] = _write_rows(self._place / table_file(table), map(self._noted, rows))

    def _noted(self, row: Row) -> Row:
        if "blob" in row:
            self._rows.blobs[row["blob"]] = row
        elif "fence" in row and row["status"] not in ENDED:
            self._rows.open_jobs.append(row["id"])
        return row

    def _bytes(self) -> int:
        """About how much there is to copy."""
        known = sum(row.get("bytes") or 0 for row in self._rows.blobs.values())
        directories = [name for name, row in self._rows.blobs.items() if "bytes" not in row]
        directories += kept_works(self._blobs, self._rows.open_jobs).values()
        runs = local_runs(self._work, self._rows.open_jobs).values()
        return known + sum(map(self._size, directories)) + sum(map(size_below, runs))

    @property
    def _work(self) -> Path:
        return self._setup.directory / "work"

    def _size(self, name: str) -> int:
        with suppressed_absence():
            return sum(self._blobs.files_in(name).values())
        return 0

    def _copy(self, copied: Copied, name: str) -> bool:
        """Copy a blob; False, and nothing is copied, where it is not there."""
        with suppressed_absence():
            files = self._blobs.files_in(name)
            for inside in files:
                with self._blobs.open(name, inside) as source:
                    copied.add(f"blobs/{name}/{inside}".rstrip("/"), source)
            if files:
                return True
        copied.drop(name)
        return False

    def _copy_work(self, copied: Copied) -> None:
        """The newest checkpoints: what workers replace meanwhile is looked for again."""
        left = set(self._rows.open_jobs)
        for _ in range(_TRIES):
            kept = kept_works(self._blobs, left)
            left -= {job for job, name in kept.items() if self._copy(copied, name)}
        for job, run in local_runs(self._work, left).items():
            with opened_files(run) as files:
                if name := name_of_work(job, files):
                    for inside, source in files.items():
                        copied.add(f"blobs/{name}/{inside}", source)

    def _copy_beside(self, copied: Copied) -> None:
        for name in BESIDE:
            path = self._setup.directory / name
            if path.is_file():
                with storage_errors(path), path.open("rb") as source:
                    copied.add(name, source)

    def _leave_out_removed(self, copied: Copied, missing: set[str]) -> None:
        """A row whose blob was removed meanwhile goes, too; raises StorageError where only the blob did."""
        there = self._store.blobs()
        if names := sorted(missing & there):
            raise StorageError([lost(name, self._rows.blobs[name]) for name in names])
        removed = self._rows.blobs.keys() - there
        for name in removed:
            copied.drop(name)
        for table in (name for name, of in TABLES.items() if "blob" in of.c and removed):
            path = self._place / table_file(table)
            with path.open("rb") as lines:
                rows = [row for row in map(json.loads, lines) if row["blob"] not in removed]
            path.unlink()
            self._rows.counts[table] = _write_rows(path, rows)

    def _sealed(self, copied: Copied, moment: int) -> Manifest:
        tables = {table_file(table): self._place / table_file(table) for table in TABLES}
        hashed = {
            name: Entry(bytes=path.stat().st_size, sha256=sha256_file(path)) for name, path in tables.items()
        }
        manifest = Manifest(
            format=FORMAT,
            tables_version=VERSION,
            tunesmith=__version__,
            created_at=moment,
            tables=self._rows.counts,
            files=hashed | dict(sorted(copied.entries.items())),
        )
        write_manifest(self._place, manifest)
        return manifest


def _write_rows(path: Path, rows: Iterable[Row]) -> int:
    """One JSON object a line, the same whatever the database; how many there were."""
    count = 0
    with storage_errors(path), path.open("xb") as stream:
        for row in rows:
            stream.write(json.dumps(dict(row), allow_nan=False).encode() + b"\n")
            count += 1
    return count
