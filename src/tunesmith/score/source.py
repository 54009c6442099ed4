"""The table that is scored: its texts from any row on, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tunesmith.data.cells import CellError
from tunesmith.data.compression import format_and_compression
from tunesmith.data.formats import parquet
from tunesmith.data.formats.rows import Row
from tunesmith.data.formats.source import labelled, open_rows
from tunesmith.data.infer import infer_text_column
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import sampled
from tunesmith.errors import DataError, Problem
from tunesmith.files import storage_errors
from tunesmith.pipeline import known_column
from tunesmith.score.answers import added_columns, prompt_of
from tunesmith.task import Task

__all__ = ["Piece", "Source", "Span", "columns_of", "open_source", "pieces_of", "text_column_of"]

Span = tuple[int, int]
"""From which row to before which row."""

# enough texts for batches of like length, few enough to lose when a process is killed
_PIECE_ROWS = 4096
# an answer that is written takes a thousand times as long
_PIECE_PROMPTS = 256
_PIECE_CHARS = 1 << 24


@dataclass(frozen=True, slots=True)
class Source:
    """A table of texts, of which nothing is held."""

    path: Path
    task: Task
    column: str
    """Where the text stands"""
    columns: tuple[str, ...]
    """All columns of its first rows"""
    copied: bool
    """Whether its other columns go from Parquet to Parquet, and need not become Python's objects"""
    total: int | None
    """How many rows there are, where the file tells"""

    @property
    def piece_rows(self) -> int:
        """The most rows of a piece."""
        return _PIECE_PROMPTS if self.task.writes else _PIECE_ROWS

    def rows(self, log: ReadLog, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """The rows from `start` to before `stop`; only the text of each where the other cells are copied."""
        if self.copied:
            with storage_errors(self.path):
                rows = parquet.rows(self.path, log, columns=[self.column], start=start)
                yield from islice(rows, None if stop is None else stop - start)
            return
        rows = open_rows(self.path, log)
        yield from islice(rows if self.task.writes else labelled(self.path, rows), start, stop)

    def text(self, row: Row) -> str:
        """The text of a row, empty where it has none; raise DataError with the row where it is no text."""
        try:
            return prompt_of(row.values.get(self.column), self.task)
        except CellError as fault:
            raise DataError(Problem(fault.code, fault.what, row.where, fault.fix)) from fault


def open_source(path: Path, task: Task, text_column: str | None, out: Path) -> Source:
    """Look at the first rows of a table that is to be written to `out`.

    Raises DataError where no column holds the text, or one has the name of a column that is added.
    """
    rows = open_rows(path, ReadLog(strict=True))
    sample, _ = sampled(rows if task.writes else labelled(path, rows))
    column = text_column_of(path, task, sample, text_column)
    columns = columns_of(path, task, sample)
    total = _parquet_rows(path) if path.is_file() and _is_parquet(path) else None
    return Source(path, task, column, columns, total is not None and _is_parquet(out), total)


def text_column_of(path: str | Path, task: Task, sample: Sequence[Row], named: str | None) -> str:
    """Where the text stands: as `named`, as in training, or inferred; raises DataError where nowhere."""
    known = named or known_column(task.text_column, sample)
    return known if task.writes and known else infer_text_column(str(path), sample, known)


def columns_of(path: str | Path, task: Task, sample: Sequence[Row]) -> tuple[str, ...]:
    """The columns of the first rows; raise DataError where one has the name of a column that is added."""
    columns = tuple(dict.fromkeys(name for row in sample for name in row.values))
    taken = [name for name in added_columns(task).names if name in columns]
    if taken:
        what = f"the table already has a column named {taken[0]!r}"
        raise DataError(Problem("column-taken", what, str(path), "rename or drop that column"))
    return columns


def _is_parquet(path: Path) -> bool:
    return format_and_compression(path) == (".parquet", "")


def _parquet_rows(path: Path) -> int:
    with parquet.opened(path) as table:
        return int(table.metadata.num_rows)


@dataclass(frozen=True, slots=True)
class Piece:
    """The texts of some rows that follow one another."""

    start: int
    """The number of the first, from 0"""
    texts: list[str]
    share: float | None
    """How much of the file was read by its end, where that is known"""

    @property
    def span(self) -> Span:
        """Which rows these are."""
        return self.start, self.start + len(self.texts)


def pieces_of(source: Source, done: Sequence[Span], *, most_rows: int | None = None) -> Iterator[Piece]:
    """What of the table is not `done` yet, in order; where a piece ends depends on its own rows alone.

    A piece has no more than `most_rows`, where that is None those of the source.
    """
    most_rows = most_rows or source.piece_rows
    for start, stop in _gaps(done):
        log = ReadLog(strict=True)
        texts: list[str] = []
        chars = 0
        for row in source.rows(log, start, stop):
            texts.append(source.text(row))
            chars += len(texts[-1])
            if len(texts) >= most_rows or chars >= _PIECE_CHARS:
                yield Piece(start, texts, _share(source, log))
                start, texts, chars = start + len(texts), [], 0
        if texts:
            # where nothing follows, all of the file was read
            yield Piece(start, texts, 1.0 if stop is None else _share(source, log))


def _gaps(done: Sequence[Span]) -> Iterator[tuple[int, int | None]]:
    at = 0
    for start, stop in sorted(done):
        if at < start:
            yield at, start
        at = stop
    yield at, None


def _share(source: Source, log: ReadLog) -> float | None:
    read, size = log.bytes_read, source.path.stat().st_size if source.path.is_file() else 0
    return min(1.0, read / size) if read and size else None
