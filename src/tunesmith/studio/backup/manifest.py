"""What a backup holds: the names that its files may have, and the manifest with the hash of each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from tunesmith.config import Config, parse_values
from tunesmith.errors import ConfigError, Problem, StorageError
from tunesmith.files import read_json, sha256_bytes, write_json
from tunesmith.studio.blobs import is_blob
from tunesmith.studio.store.all_rows import TABLES
from tunesmith.studio.store.tables import VERSION

__all__ = [
    "BESIDE",
    "FORMAT",
    "MANIFEST",
    "Entry",
    "Manifest",
    "OnBytes",
    "damaged",
    "is_name",
    "other_versions",
    "read_manifest",
    "table_file",
    "write_manifest",
]

FORMAT = 1
MANIFEST = "manifest.json"
BESIDE = ("studio.yaml", "keys.json")
"""What is kept of the studio's directory beside rows and blobs, where it is there."""

OnBytes = Callable[[str, int, int], None]
"""Hears what is being done, how many bytes of it are, and of how many."""

# of a model or a run: no dot in front, so neither `..` nor what is half written
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=+@-]{0,254}")


class Entry(Config):
    """One file of a backup."""

    bytes: int = Field(ge=0)
    """How large it is."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of what it holds, in hexadecimal."""


class Manifest(Config):
    """What a backup holds, and of when it is; written last."""

    format: int
    """Of the backup."""
    tables_version: int
    """Of the tables whose rows it has."""
    tunesmith: str
    """The version that wrote it."""
    created_at: int
    """The moment whose state it is, in seconds since 1970."""
    tables: dict[str, int]
    """How many rows it has of each table."""
    files: dict[str, Entry]
    """All of its files but the manifest, by their paths."""

    def blobs(self) -> dict[str, list[str]]:
        """The names of the blobs that it holds, with the files of each: '' where it is one."""
        found: dict[str, list[str]] = {}
        for path in self.files:
            if path.startswith("blobs/"):
                _, kind, name, *inside = path.split("/")
                found.setdefault(f"{kind}/{name}", []).append("/".join(inside))
        return found


def table_file(table: str) -> str:
    """Where the rows of a table stand."""
    return f"tables/{table}.jsonl"


def is_name(path: str) -> bool:
    """Whether a file of a backup may have this path: only what backups write, and none that leads out."""
    if path in BESIDE or path in map(table_file, TABLES):
        return True
    top, *names = path.split("/")
    if top != "blobs" or len(names) < 2 or not is_blob("/".join(names[:2])):
        return False
    # files and parts are one file each, models and the work of jobs are directories
    is_directory = names[0] in ("models", "work")
    return is_directory == (len(names) > 2) and all(_PART.fullmatch(name) for name in names[2:])


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write it, with a hash of itself."""
    values = manifest.model_dump(mode="json")
    write_json(directory / MANIFEST, {**values, "sha256": _hash(values)})


def read_manifest(backup: Path) -> Manifest:
    """Read it; raises StorageError `no-backup`, `backup-version` or `backup-damaged`."""
    path = backup / MANIFEST
    if not path.is_file():
        what = "there is no backup here: it has no manifest.json"
        raise StorageError(
            Problem("no-backup", what, str(backup), "name a directory that `tunesmith studio backup` wrote")
        )
    try:
        values = read_json(path)
        told = values.pop("sha256", None)
        if values.get("format") != FORMAT:
            raise StorageError(_other_version(path, f"the backup has the format {values.get('format')!r}"))
        manifest = parse_values(values, Manifest, str(path))
    except (ConfigError, AttributeError) as error:
        raise StorageError(damaged(path, "the manifest cannot be read")) from error
    if told != _hash(values):
        raise StorageError(damaged(path, "the manifest is not as it was written"))
    return manifest


def other_versions(backup: Path, manifest: Manifest) -> list[Problem]:
    """Why the rows of a backup cannot be used here, where they cannot."""
    if manifest.tables_version == VERSION:
        return []
    what = f"its tables have the version {manifest.tables_version}, and those of this tunesmith {VERSION}"
    return [_other_version(backup / MANIFEST, f"{what}; tunesmith {manifest.tunesmith} wrote it")]


def damaged(path: Path, what: str) -> Problem:
    """One thing in which a backup is not as it was written."""
    return Problem("backup-damaged", what, str(path), "restore another backup; this one is not whole")


def _other_version(path: Path, what: str) -> Problem:
    return Problem("backup-version", what, str(path), "restore it with the tunesmith that wrote it")


def _hash(values: Any) -> str:
    return sha256_bytes(json.dumps(values, sort_keys=True).encode())
