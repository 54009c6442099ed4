"""What is done of a table: a directory of answers beside the file that they are for.

Each piece is a Parquet file, written whole or not at all, whose name says which rows it answers and the
SHA-256 of its bytes: `000000000000-000000004096-HASH.parquet`. `scoring.json` says what is scored, and how.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith.errors import Problem, StorageError
from tunesmith.files import atomic_file, move, sha256_bytes, sha256_file, storage_errors, sweep, write_json
from tunesmith.score.source import Span
from tunesmith.training.resume import begun, refuse_changes

__all__ = ["FORMAT", "Pieces", "pieces_beside"]

FORMAT = 1
_ABOUT = "scoring.json"
_NAME = re.compile(r"(\d{12})-(\d{12})-([0-9a-f]{64})\.parquet")


def pieces_beside(out: Path) -> Path:
    """The directory in which the pieces of `out` lie until it is whole."""
    return out.with_name(f"{out.name}.pieces")


class Pieces:
    """The answers so far."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.directory = pieces_beside(out)

    def begin(self, about: Mapping[str, Any], *, overwrite: bool) -> None:
        """Make the directory; raise StorageError where one is there and may not be replaced."""
        if self.directory.exists() and not overwrite:
            what = "the answers of a table whose scoring was stopped would be lost"
            fix = "go on with --resume, or begin anew with --overwrite"
            raise StorageError(Problem("exists", what, str(self.directory), fix))
        with storage_errors(self.directory):
            if self.directory.exists():
                shutil.rmtree(self.directory)
            self.directory.mkdir(parents=True)
        try:
            write_json(self.directory / _ABOUT, {**about, "overwrite": overwrite})
        except StorageError:
            self.remove()
            raise

    def resume(self, about: Mapping[str, Any]) -> None:
        """Go on with what was begun; raise ResumeError with everything that is not as it was."""
        before = self.begun()
        refuse_changes(before, about, self.directory / _ABOUT)
        sweep(self.directory)

    def begun(self) -> dict[str, Any]:
        """What was begun here; raise ResumeError where nothing was."""
        fix = "leave --resume out, or name the --out of a table whose scoring was stopped"
        return begun(self.directory / _ABOUT, fix=fix)

    def spans(self) -> list[Span]:
        """The rows that are answered, in order; what is damaged is removed."""
        return [(start, stop) for start, stop, sha256, path in self._files() if _kept(path, sha256)]

    def _files(self) -> list[tuple[int, int, str, Path]]:
        named = ((path, _NAME.fullmatch(path.name)) for path in self.directory.iterdir())
        return sorted((int(name[1]), int(name[2]), name[3], path) for path, name in named if name)

    def write(self, span: Span, answers: pa.Table) -> None:
        """Keep the answers of some rows; raise StorageError where there is no room for them."""
        sink = pa.BufferOutputStream()
        pq.write_table(answers, sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
        start, stop = span
        with atomic_file(self.directory / f"{start:012}-{stop:012}-{sha256_bytes(data)}.parquet") as stream:
            stream.write(data)

    def tables(self) -> Iterator[pa.Table]:
        """The answers of all rows, in order."""
        for _, _, _, path in self._files():
            with storage_errors(path):
                # not `read_table`, for which a name may tell of partitions
                yield pq.ParquetFile(path).read()

    @property
    def draft(self) -> Path:
        """Where `out` is written; if its writer is killed, it goes with the pieces."""
        return self.directory / self.out.name

    def finish(self) -> None:
        """Put the draft in its place, in one act, and remove the pieces."""
        move(self.draft, self.out)
        self.remove()

    def remove_empty(self) -> None:
        """Remove the directory where no row is answered: there is nothing to go on with."""
        if self.directory.is_dir() and not self._files():
            self.remove()

    def remove(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _kept(path: Path, sha256: str) -> bool:
    """Whether a piece is what was written; another is removed."""
    if sha256_file(path) == sha256:
        return True
    with storage_errors(path):
        path.unlink()
    return False
