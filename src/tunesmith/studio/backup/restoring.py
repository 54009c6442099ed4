"""A backup -> a studio, where none is.

All is checked first. Blobs go before rows, and rows in one transaction: what is killed on the way leaves a
studio without a row, whose blobs the same command writes again.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tunesmith.errors import Problem, StorageError
from tunesmith.files import atomic_file, staged_directory, storage_errors
from tunesmith.studio.backup.checking import Checked, check_backup
from tunesmith.studio.backup.copying import Tally, check_room, copied_as_written
from tunesmith.studio.backup.manifest import BESIDE, Manifest, OnBytes
from tunesmith.studio.backup.runs import job_of_work, place_of_run
from tunesmith.studio.blobs import Blobs, LocalBlobs, blobs_at
from tunesmith.studio.config import config_in
from tunesmith.studio.serving import Setup
from tunesmith.studio.store import Store
from tunesmith.studio.store.all_rows import TABLES

__all__ = ["Restored", "restore"]

_CONFIG = "studio.yaml"
# workers remove what is no job's, should it be left behind
_SCRATCH = "restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it."""

    manifest: Manifest
    setup: Setup
    kept: tuple[str, ...]
    """Files of the directory that were there, and stayed as they were"""


def restore(
    backup: Path, directory: Path, config_file: Path | None = None, on_bytes: OnBytes = lambda *_: None
) -> Restored:
    """Make a studio in `directory` of a backup; nobody may serve it meanwhile.

    Its database and blobs are those of `config_file`, else of the directory's own studio.yaml, else of that
    in the backup; they must be empty. Raises StorageError and ConfigError.
    """
    checked = check_backup(backup, on_bytes)
    setup = _setup(checked, directory, config_file)
    with storage_errors(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    blobs = blobs_at(setup.blobs, directory / "cache")
    with closing(Store(setup.store_url)) as store:
        store.all_rows.check_empty()
        _check_no_others(checked, setup, blobs)
        kept = _Filling(checked, setup, blobs).fill(on_bytes)
        store.all_rows.fill({table: checked.rows(table) for table in TABLES})
    return Restored(checked.manifest, setup, kept)


def _setup(checked: Checked, directory: Path, config_file: Path | None) -> Setup:
    theirs = checked.path / _CONFIG
    if config_file is None and not (directory / _CONFIG).exists() and _CONFIG in checked.manifest.files:
        return Setup(directory, *config_in(directory, theirs))
    return Setup(directory, *config_in(directory, config_file))


def _check_no_others(checked: Checked, setup: Setup, blobs: Blobs) -> None:
    """Blobs of the backup itself may be there: those of a restore that was killed."""
    ours = checked.manifest.blobs()
    others = [name for name, _ in blobs.names() if name not in ours]
    if others:
        what = f"there are {len(others):,} blobs already, such as {min(others)}"
        fix = "name another place for `blobs` in studio.yaml, or a directory without a studio"
        raise StorageError(Problem("store-not-empty", what, setup.blobs, fix))


class _Filling:
    def __init__(self, checked: Checked, setup: Setup, blobs: Blobs) -> None:
        self._checked, self._setup, self._blobs = checked, setup, blobs
        self._work = setup.directory / "work"

    def fill(self, on_bytes: OnBytes) -> tuple[str, ...]:
        """Put all but rows in their places; which files of the directory were there already."""
        files = self._checked.manifest.files
        total = sum(entry.bytes for path, entry in files.items() if path.startswith("blobs/"))
        check_room(self._setup.blobs, self._blobs.free_bytes(), total)
        tally = Tally("Restoring", total, on_bytes)
        for name, inside in sorted(self._checked.manifest.blobs().items()):
            if inside == [""]:
                self._put_file(name, tally)
            else:
                self._put_directory(name, inside, tally)
        return tuple(name for name in self._beside() if not self._put_beside(name, tally))

    def _beside(self) -> list[str]:
        """What is put into the directory; where another studio.yaml was named, it stays the only one."""
        there = [name for name in BESIDE if name in self._checked.manifest.files]
        ours = (self._checked.path / _CONFIG, self._setup.directory / _CONFIG)
        return [name for name in there if name != _CONFIG or self._setup.config_file in ours]

    def _put_file(self, name: str, tally: Tally) -> None:
        path = f"blobs/{name}"
        with self._blobs.writing(name) as target:
            copied_as_written(self._checked.path / path, target, self._checked.manifest.files[path], tally)

    def _put_directory(self, name: str, inside: list[str], tally: Tally) -> None:
        job = job_of_work(name)
        if job is not None and isinstance(self._blobs, LocalBlobs):
            run = place_of_run(self._work, job, self._checked.fences)
            with staged_directory(run, overwrite=True) as place:
                self._copy(name, inside, place, tally)
            return
        # among blobs it may be linked, as the backup itself must not be
        scratch = self._work / _SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            self._copy(name, inside, scratch, tally)
            self._blobs.put_directory(name, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _copy(self, name: str, inside: list[str], place: Path, tally: Tally) -> None:
        for each in inside:
            path, target = f"blobs/{name}/{each}", place / PurePosixPath(each)
            with storage_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as stream:
                    entry = self._checked.manifest.files[path]
                    copied_as_written(self._checked.path / path, stream, entry, tally)

    def _put_beside(self, name: str, tally: Tally) -> bool:
        """Put a file of the directory there; False, and nothing is changed, where there is one."""
        place = self._setup.directory / name
        if place.exists():
            return False
        with atomic_file(place, mode=0o600) as target:
            copied_as_written(self._checked.path / name, target, self._checked.manifest.files[name], tally)
        return True
