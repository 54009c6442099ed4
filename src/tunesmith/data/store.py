"""Record batches -> a table: in memory where it is small, else in a file that is mapped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import pyarrow as pa

from tunesmith.data.cache import cache_errors, cached
from tunesmith.data.mapped import Mapped
from tunesmith.data.problems import ReadLog
from tunesmith.files import read_json, sha256_bytes, sha256_file, write_json

__all__ = ["SPILL_BYTES", "Stored", "content_sha256", "gathered", "gathered_once"]

SPILL_BYTES = 16 << 20
"""A table of more than this goes into a file."""
_FORMAT = 1
_ROWS = "rows.arrow"
_LOG = "log.json"

Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Stored:
    """A table, and the file that holds it where it is large."""

    table: pa.Table
    mapped: Mapped | None = None


def gathered(batches: Batches, schema: pa.Schema, *, spill_bytes: int = SPILL_BYTES) -> Stored:
    """All batches as one table; a large one lies in a file of the cache that goes when it is no longer used.

    Raises StorageError where the disk is full.
    """
    return _gathered(batches, schema, spill_bytes, _in_temporary_file)


def gathered_once(
    batches: Batches,
    schema: pa.Schema,
    about: Callable[[], Mapping[str, object]],
    log: ReadLog,
    *,
    spill_bytes: int = SPILL_BYTES,
) -> Stored:
    """As `gathered`, but a large table is kept in the cache, and found there the next time.

    `about` tells what it is made from, and is asked only of a large one. `log` then holds what it held when
    the table was made.
    """

    def in_cache(batches: Batches, schema: pa.Schema) -> Stored:
        def make(directory: Path) -> None:
            with (directory / _ROWS).open("wb") as stream:
                _write(stream, batches, schema)
            write_json(directory / _LOG, log.to_dict())

        entry = cached({"rows": _FORMAT, **about()}, make)
        log.restore(read_json(entry / _LOG))
        with (entry / _ROWS).open("rb") as stream:
            return _opened(stream)

    return _gathered(batches, schema, spill_bytes, in_cache)


def _gathered(
    batches: Batches, schema: pa.Schema, spill_bytes: int, spill: Callable[[Batches, pa.Schema], Stored]
) -> Stored:
    rest, held, size = iter(batches), [], 0
    for batch in rest:
        held.append(batch)
        size += batch.nbytes
        if size > spill_bytes:
            return spill(chain(held, rest), schema)
    return Stored(pa.Table.from_batches(held, schema).unify_dictionaries())


def _in_temporary_file(batches: Batches, schema: pa.Schema) -> Stored:
    # the file has no name where the system allows that: nothing is left even by a process that is killed
    with cache_errors() as cache, tempfile.TemporaryFile(dir=cache) as stream:
        _write(stream, batches, schema)
        stream.flush()
        return _opened(stream)


def _write(stream: IO[bytes], batches: Batches, schema: pa.Schema) -> None:
    with pa.ipc.new_stream(stream, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _opened(stream: IO[bytes]) -> Stored:
    mapped = Mapped(stream)
    table = pa.ipc.open_stream(pa.py_buffer(mapped.view)).read_all().unify_dictionaries()
    mapped.release()
    return Stored(table, mapped)


def content_sha256(path: Path) -> str:
    """The SHA-256 of a file, or of the names and contents of all files of a directory."""
    if path.is_file():
        return sha256_file(path)
    files = sorted(child for child in path.rglob("*") if child.is_file())
    hashes = (f"{child.relative_to(path)} {sha256_file(child)}\n" for child in files)
    return sha256_bytes("".join(hashes).encode("utf-8", "surrogateescape"))
