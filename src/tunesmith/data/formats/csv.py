"""CSV and TSV -> rows, through Python's csv module."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tunesmith.data.compression import format_and_compression
from tunesmith.data.formats.dialect import first_row_is_data, sniff_delimiter
from tunesmith.data.formats.lines import read_sample, text_lines
from tunesmith.data.formats.rows import MAX_RECORD_CHARS, Row, refuse_bad_columns, too_long
from tunesmith.data.problems import ReadLog

__all__ = ["rows"]

_QUOTES = 'close the quote, and double every quote inside a quoted text ("")'
# fed after the last line: it comes back as a row of its own unless a quote is still open
_END = "\x1eend of file\x1e"
# the module's own limit, 131,072, is for the whole process; a record's size is bounded below
csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_CHARS + len(_END)))


def rows(path: Path, log: ReadLog) -> Iterator[Row]:
    """The rows of a CSV file with their first line; ragged rows are noted and left out."""
    sample = read_sample(path, log)
    suffix, _ = format_and_compression(path)
    delimiter = sniff_delimiter(sample.lines(), suffix)
    named = _nameless if first_row_is_data(sample.lines(), delimiter) else _named
    with closing(text_lines(path, sample, log)) as lines:
        yield from named(path, _records(path, lines, delimiter, log), log)


def _named(path: Path, records: Iterator[tuple[int, list[str]]], log: ReadLog) -> Iterator[Row]:
    line, header = next(records, (1, []))
    columns = [name.strip() for name in header]
    refuse_bad_columns(columns, f"{path}:{line}")
    yield from _rows(path, columns, records, log)


def _nameless(path: Path, records: Iterator[tuple[int, list[str]]], log: ReadLog) -> Iterator[Row]:
    first = next(records, None)
    if first is None:
        return
    columns = [f"column_{number}" for number in range(1, len(first[1]) + 1)]
    log.notes.append(f"the first row of {path} is data, so its columns are named {', '.join(columns)}")
    yield from _rows(path, columns, iter([first]), log)
    yield from _rows(path, columns, records, log)


def _rows(
    path: Path, columns: list[str], records: Iterator[tuple[int, list[str]]], log: ReadLog
) -> Iterator[Row]:
    width, file = len(columns), str(path)
    for line, cells in records:
        if len(cells) >= width and not any(cells[width:]):
            yield Row(dict(zip(columns, cells, strict=False)), line, file)
        else:
            what = f"this row has {len(cells)} cells, but the first row has {width}"
            fix = "put a text that holds the delimiter or a line break in double quotes"
            log.fault("ragged-row", what, f"{file}:{line}", fix)


def _records(
    path: Path, text: Iterator[str], delimiter: str, log: ReadLog
) -> Iterator[tuple[int, list[str]]]:
    lines = _RecordLines(path, text)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        lines.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            log.fault("ragged-row", f"this row is not CSV: {error}", f"{path}:{lines.start}", _QUOTES)
            continue
        if cells == [_END]:
            return
        if cells and cells[-1].endswith(_END):
            what = "a quote opens in this row and is never closed, so the rest of the file is inside it"
            log.fault("unclosed-quote", what, f"{path}:{lines.start}", _QUOTES)
            return
        if cells:
            yield lines.start, cells


class _RecordLines(Iterator[str]):
    """Lines for csv.reader, with where the record began and a cap on its length."""

    def __init__(self, path: Path, lines: Iterator[str]) -> None:
        self.start = 1
        self._path = path
        self._lines = lines
        self._read = 0
        self._chars = 0
        self._ended = False

    def begin_record(self) -> None:
        """The next line is the first of a record."""
        self.start = self._read + 1
        self._chars = 0

    def __next__(self) -> str:
        line = next(self._lines, None)
        if line is None:
            return self._end()
        self._read += 1
        self._chars += len(line)
        if self._chars > MAX_RECORD_CHARS:
            raise too_long(self._path, self.start, "close the quote that opens in it, or split the text")
        return line

    def _end(self) -> str:
        if self._ended:
            raise StopIteration
        self._ended = True
        return _END
