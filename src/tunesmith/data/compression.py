"""Compression by suffix: plain, gzip, Zstandard or xz, in bounded memory."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import zstandard

from tunesmith.data.problems import refuse
from tunesmith.errors import DataError

__all__ = ["COMPRESSIONS", "compressed", "decompressed", "format_and_compression"]

COMPRESSIONS = (".gz", ".zst", ".xz")


def format_and_compression(path: Path) -> tuple[str, str]:
    """`a.csv.gz` -> (".csv", ".gz"); the second is empty for a plain file."""
    *_, last = ["", *(suffix.lower() for suffix in path.suffixes)]
    if last not in COMPRESSIONS:
        return last, ""
    return path.with_suffix("").suffix.lower(), last


@contextmanager
def decompressed(path: Path, watch: Callable[[IO[bytes]], None] | None = None) -> Iterator[IO[bytes]]:
    """Open a file for its decompressed bytes; raise DataError where they are damaged or cut short.

    `watch` is given the file as it lies on the disk, whose position tells how much of it was read.
    """
    _, compression = format_and_compression(path)
    with path.open("rb") as raw:
        if watch is not None:
            watch(raw)
        try:
            with _reader(raw, compression) as stream:
                yield stream
        except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
            raise _damaged(path, compression, str(error)) from error
        except OSError as error:
            # Arrow tells damage by an OSError that no system call raised
            if not compression or error.errno:
                raise
            raise _damaged(path, compression, str(error)) from error


def _reader(raw: IO[bytes], compression: str) -> IO[bytes]:
    match compression:
        case ".gz":
            return cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="rb"))
        case ".xz":
            return cast(IO[bytes], lzma.LZMAFile(raw, "rb"))
        case ".zst":
            # zstandard's own reader takes a file that is cut short for a whole one
            return cast(IO[bytes], pa.CompressedInputStream(raw, "zstd"))
        case _:
            return raw


def _damaged(path: Path, compression: str, reason: str) -> DataError:
    what = f"this is not a whole {compression} file: {reason}"
    return refuse("bad-compression", what, path, "copy or compress the file again")


@contextmanager
def compressed(raw: IO[bytes], compression: str) -> Iterator[IO[bytes]]:
    """A stream for plain bytes that reach `raw` compressed; `raw` stays open."""
    match compression:
        case ".gz":
            # no time and no name in the header: equal content gives equal files
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
                yield cast(IO[bytes], stream)
        case ".xz":
            with lzma.LZMAFile(raw, "wb") as stream:
                yield cast(IO[bytes], stream)
        case ".zst":
            with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as stream:
                yield stream
        case _:
            yield raw
