"""What lasts on disk: atomic writes, SHA-256, and JSON whose errors know their line."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

from safetensors import SafetensorError

from tunesmith.errors import ConfigError, Problem, StorageError

__all__ = [
    "Poured",
    "alone_beside",
    "atomic_file",
    "move",
    "pour",
    "read_json",
    "refuse_existing",
    "sha256_bytes",
    "sha256_file",
    "staged_directory",
    "storage_errors",
    "sweep",
    "write_json",
    "write_text",
]

_CHUNK_BYTES = 1 << 20
# what `_beside` names
_ORPHAN = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(tmp|old)")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses about `path` into a StorageError."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of a pipe went away: no fault of any path
    except OSError as error:
        raise StorageError(_storage_problem(path, error)) from error
    except Exception as error:
        told = _system_error(error)
        if told is None:
            raise
        raise StorageError(_storage_problem(path, told)) from error


def _system_error(error: Exception) -> OSError | None:
    """What the system answered to safetensors and tokenizers, which tell it in words: `… (os error 28)`.

    tokenizers raises nothing but an Exception, of no kind of its own.
    """
    found = re.search(r"os error (\d+)", str(error))
    if found and (isinstance(error, SafetensorError) or type(error) is Exception):
        return OSError(int(found.group(1)), os.strerror(int(found.group(1))))
    return OSError(errno.EIO, str(error)) if isinstance(error, SafetensorError) else None


def _storage_problem(path: Path, error: OSError) -> Problem:
    where = str(error.filename or path)
    reason = error.strerror or str(error)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            fix = "free some space, or name another place with --out; what was saved before is kept"
            return Problem("disk-full", "there is no space left to write", where, fix)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            fix = "choose a place you may use, or change its permissions"
            return Problem("no-permission", f"access refused: {reason}", where, fix)
        case errno.ENOENT:
            return Problem("no-file", "no such file or directory", where, "check the path")
        case _:
            return Problem("storage", f"the system answered: {reason}", where, "check the path and the disk")


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise StorageError where `path` exists, holds something and may not be replaced."""
    with storage_errors(path):
        if overwrite or not path.exists() or (path.is_dir() and not _holds_anything(path)):
            return
    fix = "name another place, or add --overwrite to replace it"
    raise StorageError(Problem("exists", "this already exists and would be lost", str(path), fix))


def _holds_anything(directory: Path) -> bool:
    return any(not _ORPHAN.fullmatch(path.name) for path in directory.iterdir())


def _beside(path: Path, suffix: str) -> Path:
    """A new name in the same directory, so that a rename is one act."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{suffix}")


def sweep(directory: Path, *, before: float = math.inf) -> None:
    """Remove what killed writers left in `directory`; no writer may be at work there.

    With `before`, in seconds since 1970, only what was last written before then: so others may be at work.

    Where one was killed between the two renames of a replacement, the old is put back.
    """
    for orphan in directory.glob(".*"):
        found = _ORPHAN.fullmatch(orphan.name)
        if not found or _written(orphan) >= before:
            continue
        place = orphan.with_name(found[1])
        if found[2] == "old" and not place.exists():
            orphan.rename(place)
        elif orphan.is_dir():
            shutil.rmtree(orphan, ignore_errors=True)
        else:
            orphan.unlink(missing_ok=True)


def _written(path: Path) -> float:
    """When it was last written; one that is gone meanwhile is nobody's to remove."""
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


@contextmanager
def alone_beside(path: Path) -> Iterator[None]:
    """Wait until nobody else who asks for it changes a file in the directory of `path`, and hold it alone.

    Where the system or the file system has no locks, nothing is waited for.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path, *, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Open a file for bytes that appears at `path` only when the block ends well.

    Written beside, flushed to disk, then renamed: a reader sees the old or the new, never half. `mode` is its
    permissions from the first byte on, of which the umask takes some away.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path, "tmp")
        try:
            with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(path)
            _sync_directory(path.parent)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def staged_directory(path: Path, *, overwrite: bool = False, mode: int = 0o777) -> Iterator[Path]:
    """Give an empty directory that becomes `path`, whole, only when the block ends well.

    Every file in it is flushed to disk before the rename; what stood at `path` is replaced
    in two renames and removed last, so that a crash leaves the old or the new. `mode` is its permissions, of
    which the umask takes some away; those of its files follow from them.
    """
    refuse_existing(path, overwrite)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path, "tmp")
        beside.mkdir(mode)
        try:
            yield beside
            _sync_tree(beside)
            _swap(beside, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    old = _beside(path, "old")
    if path.exists():
        path.rename(old)
    new.rename(path)
    _sync_directory(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync_tree(directory: Path) -> None:
    mode = directory.stat().st_mode & 0o666
    for child in sorted(directory.rglob("*")):
        if child.is_dir():
            _sync_directory(child)
        else:
            # safetensors makes files that only their owner can read
            child.chmod(mode)
            with child.open("rb") as stream:
                os.fsync(stream.fileno())
    _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(path: Path, place: Path) -> None:
    """Rename a file that is whole to `place` on the same file system, in the stead of what is there."""
    with storage_errors(place):
        path.replace(place)
        _sync_directory(place.parent)


def write_text(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_file(path, mode=mode) as stream:
        stream.write(text.encode("utf-8"))


def write_json(path: Path, value: Any, *, mode: int = 0o666) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", mode=mode)


def read_json(path: Path) -> Any:
    """Read one JSON file; a syntax error names its line."""
    with storage_errors(path):
        data = path.read_bytes()
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        where = f"{path}:{getattr(error, 'lineno', 1)}"
        what = getattr(error, "msg", str(error))
        raise ConfigError(Problem("bad-json", what, where, "mend the JSON there")) from error


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Poured:
    """What was copied from one stream to another."""

    bytes: int
    sha256: str
    """In hexadecimal"""


def pour(source: IO[bytes], target: IO[bytes], on_bytes: Callable[[int], None] = lambda _: None) -> Poured:
    """Copy a stream to its end in pieces, and hash it; `on_bytes` hears how large each piece was."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_CHUNK_BYTES):
        digest.update(piece)
        target.write(piece)
        size += len(piece)
        on_bytes(len(piece))
    return Poured(size, digest.hexdigest())


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with storage_errors(path), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
