"""A path -> rows, whatever its format."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tunesmith.data.compression import COMPRESSIONS, format_and_compression
from tunesmith.data.formats import csv, folders, json, parquet
from tunesmith.data.formats.openai import flattened
from tunesmith.data.formats.rows import Row
from tunesmith.data.problems import ReadLog, refuse
from tunesmith.errors import DataError, Problem, StorageError
from tunesmith.files import storage_errors

__all__ = ["labelled", "open_rows"]

_SUFFIXES = ".csv, .tsv, .jsonl, .ndjson, .json and .parquet"


def open_rows(path: Path, log: ReadLog) -> Iterator[Row]:
    """The rows of a file or of a directory of class directories.

    A missing path or an unknown format is told at once, every other fault while the rows are read.
    """
    with storage_errors(path):
        _refuse_missing(path)
        rows = _rows(path, log)
    return _guarded(path, rows, log)


def _rows(path: Path, log: ReadLog) -> Iterator[Row]:
    if path.is_dir():
        return folders.rows(path, log)
    match format_and_compression(path):
        case (".csv" | ".tsv", _):
            return csv.rows(path, log)
        case (".json" | ".jsonl" | ".ndjson", _):
            return json.rows(path, log)
        case (".parquet", ""):
            return parquet.rows(path, log)
        case (suffix, compression):
            what = f'the suffix "{suffix}{compression}" tells no format that can be read'
            raise refuse("unknown-format", what, path, f"save it as one of {_SUFFIXES}{_compressions()}")


def _compressions() -> str:
    return f" (all but .parquet also with {', '.join(COMPRESSIONS)}), or as one directory for each label"


def labelled(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of `path`, in which OpenAI's kinds of rows have a text and a label too."""
    if path.is_dir() or format_and_compression(path)[0] not in (".json", ".jsonl", ".ndjson"):
        return iter(rows)
    return (Row(flattened(row.values), row.line, row.file) for row in rows)


def _guarded(path: Path, rows: Iterator[Row], log: ReadLog) -> Iterator[Row]:
    empty = True
    with storage_errors(path):
        for row in rows:
            empty = False
            yield row
    if empty and log.problems:
        raise DataError(log.problems)
    if empty:
        what = "there is not one row of data; a header alone is not enough"
        raise refuse("no-rows", what, path, "check that the file was written and copied whole")


def _refuse_missing(path: Path) -> None:
    if path.is_file() or path.is_dir():
        return
    if path.exists():
        raise refuse("unknown-format", "this is neither a file nor a directory", path, "copy it into a file")
    raise StorageError(Problem("no-file", "no such file or directory", str(path), _nearest(path)))


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f"check the path: there is no directory {path.parent}"
    names = [child.name for child in path.parent.iterdir()]
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else "check the path"
