"""The cache: what is large and can be made again, kept by what it was made from.

Each entry is a directory named by a hash of that, whole or absent: it is written beside its place, and its
`manifest.json` holds the SHA-256 of every file. `TUNESMITH_CACHE` says where, else the system's own place
for caches. Entries that were used longest ago go once all together are over `MOST_BYTES`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tunesmith import __version__
from tunesmith.errors import StorageError, UserError
from tunesmith.files import read_json, sha256_bytes, sha256_file, staged_directory, storage_errors, write_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["MOST_BYTES", "cache_bytes", "cache_directory", "cache_errors", "cached"]

MOST_BYTES = 64 << 30
_MANIFEST = "manifest.json"
# what is older and still unfinished was left by a writer that was killed
_UNFINISHED_SECONDS = 24 * 3600


def cache_directory() -> Path:
    """Where the cache lies, whether or not it is there yet."""
    named = os.environ.get("TUNESMITH_CACHE")
    return Path(named).expanduser() if named else _system_place() / "tunesmith"


def _system_place() -> Path:
    match sys.platform:
        case "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path("~/AppData/Local").expanduser())
        case "darwin":
            return Path("~/Library/Caches").expanduser()
        case _:
            return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())


def cached(
    about: Mapping[str, object],
    make: Callable[[Path], None],
    *,
    most_bytes: int = MOST_BYTES,
    mode: int = 0o777,
) -> Path:
    """The directory that `make` filled from what `about` names, in this or in an earlier call.

    `mode` is its permissions, of which the umask takes some away. It is made anew where it is damaged or was
    made by another tunesmith. Raises StorageError, and what `make` raises; nothing is left half.
    """
    described = {**about, "tunesmith": __version__}
    name = sha256_bytes(json.dumps(described, sort_keys=True).encode())[:32]
    with cache_errors() as cache, _alone(cache / f".{name}.lock"):
        entry = cache / name
        if not _is_whole(entry, described):
            with staged_directory(entry, overwrite=True, mode=mode) as directory:
                make(directory)
                hashes = {path.name: sha256_file(path) for path in sorted(directory.iterdir())}
                write_json(directory / _MANIFEST, {"about": described, "files": hashes})
        _trim(cache, entry, most_bytes)
        return entry


@contextmanager
def cache_errors() -> Iterator[Path]:
    """Give the cache's directory, made where it is missing; what goes wrong there is told with its remedy."""
    cache = cache_directory()
    try:
        with storage_errors(cache):
            cache.mkdir(parents=True, exist_ok=True)
            yield cache
    except StorageError as error:
        fix = "free some space there, or name another directory in the variable TUNESMITH_CACHE"
        raise StorageError(
            replace(problem, fix=fix) if problem.where.startswith(str(cache)) else problem
            for problem in error.problems
        ) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process has this lock: what two need, one makes."""
    with path.open("w") as stream:
        # a system, or a file system, without locks makes it twice
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # whoever still waits for it finds the entry made
            with suppress(OSError):
                path.unlink()


def _is_whole(entry: Path, about: Mapping[str, object]) -> bool:
    """Whether every file is what was written; then the entry counts as used now."""
    try:
        os.utime(entry)
        manifest = read_json(entry / _MANIFEST)
        whole = all(sha256_file(entry / name) == sha256 for name, sha256 in manifest["files"].items())
        return bool(whole and manifest["about"] == about)
    except (UserError, OSError, KeyError, TypeError, AttributeError):
        return False


def _trim(cache: Path, used: Path, most_bytes: int) -> None:
    """Remove what was used longest ago, but for the entry in `used`, and what killed writers left."""
    kept = 0
    for path in sorted(cache.iterdir(), key=_age):
        kept += _size(path)
        unfinished = path.name.startswith(".") and _age(path) > _UNFINISHED_SECONDS
        too_much = kept > most_bytes and not path.name.startswith(".")
        if path != used and (unfinished or too_much):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Seconds since it was used; what another process just removed is old."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _size(path: Path) -> int:
    sizes = 0
    for file in path.glob("*"):
        try:
            sizes += file.stat().st_size
        except OSError:
            continue  # removed by another process just now
    return sizes


def cache_bytes() -> int:
    """How much lies in the cache."""
    cache = cache_directory()
    return sum(map(_size, cache.iterdir())) if cache.is_dir() else 0
