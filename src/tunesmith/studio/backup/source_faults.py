"""What is wrong with a studio that is backed up: the backup is no better than what it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tunesmith.errors import Problem
from tunesmith.files import read_json
from tunesmith.studio.backup.manifest import Entry
from tunesmith.studio.store.all_rows import Row

__all__ = ["changed_sources", "lost"]


def changed_sources(place: Path, entries: Mapping[str, Entry], rows: Mapping[str, Row]) -> Iterator[Problem]:
    """Warnings about what lay there otherwise than it came; `rows` refer to blobs, by name.

    Files have their hash in their row, models in their own manifest; parts have none.
    """
    for name, row in rows.items():
        expected = _hashes_in(place / "blobs" / name) | {f"blobs/{name}": row.get("sha256")}
        for path, sha256 in expected.items():
            if sha256 and path in entries and entries[path].sha256 != sha256:
                yield _changed(path.removeprefix("blobs/"), row)


def lost(name: str, row: Row) -> Problem:
    """A blob is gone, and what refers to it is not."""
    fix = "remove it in the studio, and make the backup again"
    return Problem("blob-missing", f"the bytes of {row['id']} are gone", name, fix)


def _hashes_in(bundle: Path) -> dict[str, str | None]:
    """What the manifest of a model says that its files hold, by their paths in the backup."""
    try:
        files = read_json(bundle / "manifest.json")["files"]
        return {f"blobs/models/{bundle.name}/{name}": str(sha256) for name, sha256 in files.items()}
    except Exception:  # noqa: BLE001 -- files are no models, and a damaged model is told when it is opened
        return {}


def _changed(where: str, row: Row) -> Problem:
    what = f"{row['id']} is not as it was when it came; the backup has it as it lies in the studio"
    fix = "take it from an older backup, or remove it"
    return Problem("blob-changed", what, where, fix, severity="warning")
