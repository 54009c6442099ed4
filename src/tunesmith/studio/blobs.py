"""Blobs: what files and models hold, on a local disk or in a store such as S3; whole or absent."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from tunesmith.errors import Problem, StorageError
from tunesmith.files import atomic_file, staged_directory, storage_errors, sweep

__all__ = ["Blobs", "LocalBlobs", "RemoteBlobs", "blobs_at", "files_below", "is_blob", "linked_tree"]

_NAME = re.compile(r"(files|parts|models|work)/[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_KINDS = ("files", "parts", "models", "work")
# written last: a directory of a remote store is whole where it stands
_WHOLE = "whole"
_BEGUN = ".tmp"
_READ_BYTES = 1 << 20


class Blobs(Protocol):
    """Files and directories under names that the studio made. All raise StorageError."""

    def writing(self, name: str) -> Any:
        """A context in which bytes are written; the blob is there only when the block ends well."""

    def open(self, name: str, inside: str = "") -> IO[bytes]:
        """A blob to be read; of a directory the file `inside`, by its path in it, which `files_in` told."""

    def files_in(self, name: str) -> dict[str, int]:
        """The files of a directory, by their paths in it, and their sizes in bytes; a blob is its own ''."""

    def put_directory(self, name: str, source: Path) -> None:
        """Keep a copy of a directory, in place of what has this name."""

    def directory(self, name: str) -> Path:
        """A directory as it was kept, on this machine; nobody may change it."""

    def remove(self, name: str) -> None:
        """Remove a blob or a directory, where there is one."""

    def names(self, kinds: Sequence[str] = _KINDS) -> Iterator[tuple[str, float]]:
        """All names of these kinds, and when each was last written, in seconds since 1970."""

    def sweep(self, before: float = math.inf) -> None:
        """Remove what killed writers left before then, in seconds since 1970; younger may be at work."""

    def free_bytes(self) -> int | None:
        """The room that is left; None where it is not known."""


class LocalBlobs:
    """Below a directory of this machine, or one that all machines have mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with storage_errors(root):
            for kind in _KINDS:
                (root / kind).mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """See Blobs."""
        with atomic_file(self._path(name), mode=0o600) as stream:
            yield stream

    def open(self, name: str, inside: str = "") -> IO[bytes]:
        """See Blobs."""
        path = self._path(name) / inside
        with storage_errors(path):
            return path.open("rb")

    def files_in(self, name: str) -> dict[str, int]:
        """See Blobs."""
        path = self._path(name)
        with storage_errors(path):
            if not path.is_dir():
                return {"": path.stat().st_size}
            return {each.relative_to(path).as_posix(): each.stat().st_size for each in files_below(path)}

    def put_directory(self, name: str, source: Path) -> None:
        """See Blobs; one that lies on the same file system may be linked, since nobody changes it."""
        with staged_directory(self._path(name), overwrite=True) as place:
            linked_tree(source, place)
            os.utime(place)  # it is as old as its name, and not as what was copied

    def directory(self, name: str) -> Path:
        """See Blobs."""
        path = self._path(name)
        with storage_errors(path):
            path.stat()
        return path

    def remove(self, name: str) -> None:
        """See Blobs."""
        path = self._path(name)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with storage_errors(path):
                path.unlink(missing_ok=True)

    def names(self, kinds: Sequence[str] = _KINDS) -> Iterator[tuple[str, float]]:
        """See Blobs."""
        for kind in kinds:
            for path in (self._root / kind).iterdir():
                with suppress(OSError):
                    if _NAME.fullmatch(f"{kind}/{path.name}"):
                        yield f"{kind}/{path.name}", path.stat().st_mtime

    def sweep(self, before: float = math.inf) -> None:
        """See Blobs."""
        for kind in _KINDS:
            sweep(self._root / kind, before=before)

    def free_bytes(self) -> int | None:
        """See Blobs."""
        with storage_errors(self._root):
            return shutil.disk_usage(self._root).free

    def _path(self, name: str) -> Path:
        return self._root / _checked(name)


class RemoteBlobs:
    """Below an address that fsspec knows, such as `s3://bucket/studio`; directories lie in `cache`, too."""

    def __init__(self, url: str, cache: Path) -> None:
        from fsspec.core import url_to_fs

        try:
            # what other machines write is to be seen at once
            self._system, self._root = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            fix = "install the package that fsspec needs for it, or name a directory"
            raise StorageError(Problem("bad-blobs", f"this cannot be used: {error}", url, fix)) from error
        self._cache = LocalBlobs(cache)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """See Blobs: written under another name, since not every store discards what was not finished."""
        path = self._path(name)
        beside = f"{path}.{uuid.uuid4().hex[:8]}{_BEGUN}"
        with _remote_errors(path):
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            stream = self._system.open(beside, "wb")
        try:
            with storage_errors(Path(path)):
                yield stream
            with _remote_errors(path):
                stream.close()
                self._system.mv(beside, path)
        except BaseException:
            with suppress(Exception):
                stream.close()
                self._system.rm(beside)
            raise

    def open(self, name: str, inside: str = "") -> IO[bytes]:
        """See Blobs."""
        path = f"{self._path(name)}/{inside}".rstrip("/")
        with _remote_errors(path):
            # fsspec's own streams read no line up to a length
            return io.BufferedReader(self._system.open(path, "rb"), _READ_BYTES)

    def files_in(self, name: str) -> dict[str, int]:
        """See Blobs; a directory that does not lie there whole is none."""
        path = self._path(name)
        with _remote_errors(path):
            about = self._system.info(path)
            if about["type"] != "directory":
                return {"": int(about["size"])}
            self._system.info(f"{path}/{_WHOLE}")
            found = self._system.find(path, detail=True)
        sizes = {key.split(f"/{name}/", 1)[1]: int(each["size"]) for key, each in found.items()}
        return {inside: size for inside, size in sizes.items() if inside != _WHOLE}

    def put_directory(self, name: str, source: Path) -> None:
        """See Blobs."""
        path = self._path(name)
        with _remote_errors(path):
            if self._system.exists(path):
                self._system.rm(path, recursive=True)
            self._system.put(f"{source}/", f"{path}/", recursive=True)
            self._system.pipe_file(f"{path}/{_WHOLE}", b"")
        self._cache.remove(name)

    def directory(self, name: str) -> Path:
        """See Blobs: fetched once."""
        with suppress(StorageError):
            return self._cache.directory(name)
        path = self._path(name)
        with _remote_errors(path):
            self._system.info(f"{path}/{_WHOLE}")
            with staged_directory(self._cache._path(name), overwrite=True) as place:
                self._system.get(f"{path}/", f"{place}/", recursive=True)
                (place / _WHOLE).unlink(missing_ok=True)
        return self._cache.directory(name)

    def remove(self, name: str) -> None:
        """See Blobs."""
        self._cache.remove(name)
        path = self._path(name)
        with _remote_errors(path):
            if self._system.exists(path):
                self._system.rm(path, recursive=True)

    def names(self, kinds: Sequence[str] = _KINDS) -> Iterator[tuple[str, float]]:
        """See Blobs."""
        for kind in kinds:
            for entry in self._entries(kind):
                name = f"{kind}/{entry['name'].rstrip('/').rpartition('/')[2]}"
                if _NAME.fullmatch(name):
                    yield name, _written(entry)

    def sweep(self, before: float = math.inf) -> None:
        """See Blobs."""
        self._cache.sweep(before)
        for kind in _KINDS:
            for entry in self._entries(kind):
                if entry["name"].endswith(_BEGUN) and _written(entry) < before:
                    with _remote_errors(entry["name"]):
                        self._system.rm(entry["name"])

    def free_bytes(self) -> int | None:
        """See Blobs."""
        return None

    def _entries(self, kind: str) -> list[dict[str, Any]]:
        place = f"{self._root}/{kind}"
        with _remote_errors(place):
            found: list[dict[str, Any]] = []
            if self._system.exists(place):
                found = self._system.ls(place, detail=True)
        return found

    def _path(self, name: str) -> str:
        return f"{self._root}/{_checked(name)}"


def blobs_at(place: str, cache: Path) -> LocalBlobs | RemoteBlobs:
    """The blobs at a directory, or at an address such as `s3://bucket/studio`; `cache` is for the latter."""
    return RemoteBlobs(place, cache) if "://" in place else LocalBlobs(Path(place))


def linked_tree(source: Path, target: Path) -> None:
    """The same files at another place, linked where both lie on one file system: none may change any more.

    What is half written, or goes meanwhile, is left out. Raises OSError.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in files_below(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        _link(path, place)


def files_below(directory: Path) -> Iterator[Path]:
    """All files of a directory and of those in it, in the order of their names, but what is half written."""
    for place, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(files) if not name.startswith("."))


def _link(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, target)


def is_blob(name: str) -> bool:
    """Whether a blob may have this name."""
    return _NAME.fullmatch(name) is not None


def _checked(name: str) -> str:
    assert is_blob(name), "no name of ours"
    return name


def _written(entry: dict[str, Any]) -> float:
    for field in ("LastModified", "mtime", "created", "updated"):
        value = entry.get(field)
        if value is not None:
            return float(value.timestamp() if hasattr(value, "timestamp") else value)
    return float("inf")  # not known: never too old


@contextmanager
def _remote_errors(path: str) -> Iterator[None]:
    """What a store answers as a StorageError; its clients raise their own kinds besides OSError."""
    try:
        yield
    except (StorageError, AssertionError):
        raise
    except FileNotFoundError as error:
        problem = Problem("no-file", "no such file or directory", path, "check the path")
        raise StorageError(problem) from error
    except Exception as error:
        what = f"the store answered: {type(error).__name__}"
        raise StorageError(Problem("storage", what, path, "check the store and the network")) from error
