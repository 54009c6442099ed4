"""A path -> rows, whatever its format."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tunesmith.data.compression import COMPRESSIONS, format_and_compression
from tunesmith.data.formats import csv, data_sets, excel, folders, json, parquet, reuters, sql
from tunesmith.data.formats.openai import flattened, with_messages
from tunesmith.data.formats.parts import no_such_part, parted
from tunesmith.data.formats.rows import Row
from tunesmith.data.problems import ReadLog, refuse
from tunesmith.data.store import content_sha256
from tunesmith.errors import DataError, Problem, StorageError
from tunesmith.files import sha256_bytes, storage_errors

__all__ = ["labelled", "open_rows", "source_sha256"]

_SUFFIXES = ".csv, .tsv, .jsonl, .ndjson, .json, .parquet and .xlsx"


def open_rows(path: Path, log: ReadLog) -> Iterator[Row]:
    """The rows of a file, of a directory of class directories, or of a data set of some other make.

    `FILE#PART` is a sheet of a workbook or a split of a data set. A missing path or an unknown format is told
    at once, every other fault while the rows are read.
    """
    whole, part = parted(path)
    with storage_errors(whole):
        _refuse_missing(whole)
        rows = _rows(whole, part, log)
    return _guarded(whole, rows, log)


def source_sha256(path: Path) -> str:
    """A hash of what is read from `path`, a part of it or all."""
    whole, part = parted(path)
    # what a hub or a database holds may change at any time
    changes = data_sets.is_on_hub(whole) or whole.suffix == sql.SUFFIX
    found = f"{path} {time.time_ns()}" if changes else content_sha256(whole)
    return found if part is None else sha256_bytes(f"{found}#{part}".encode("utf-8", "surrogateescape"))


def _rows(path: Path, part: str | None, log: ReadLog) -> Iterator[Row]:
    suffix = "" if path.is_dir() else format_and_compression(path)[0]
    if data_sets.is_on_hub(path) or data_sets.is_saved(path):
        return data_sets.rows(path, part, log)
    if suffix in excel.SUFFIXES:
        return excel.rows(path, part, log)
    if suffix in reuters.SUFFIXES or (path.is_dir() and reuters.is_collection(path)):
        return reuters.rows(path, part, log)
    if part is not None:
        raise no_such_part(path, part, ())
    return folders.rows(path, log) if path.is_dir() else _of_file(path, log)


def _of_file(path: Path, log: ReadLog) -> Iterator[Row]:
    match format_and_compression(path):
        case (".csv" | ".tsv", _):
            return csv.rows(path, log)
        case (".json" | ".jsonl" | ".ndjson", _):
            return (Row(with_messages(row.values), row.line, row.file) for row in json.rows(path, log))
        case (".parquet", ""):
            return parquet.rows(path, log)
        case (sql.SUFFIX, ""):
            return sql.rows(path)
        case (suffix, compression):
            what = f'the suffix "{suffix}{compression}" tells no format that can be read'
            raise refuse("unknown-format", what, path, f"save it as one of {_SUFFIXES}{_compressions()}")


def _compressions() -> str:
    return f" (text also with {', '.join(COMPRESSIONS)}), or as one directory for each label"


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
    if path.is_file() or path.is_dir() or data_sets.is_on_hub(path):
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
