"""JSON -> rows: a list of objects, {"data": [...]}, or JSON Lines under either suffix; streamed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tunesmith.data.compression import format_and_compression
from tunesmith.data.formats import jsonl
from tunesmith.data.formats.encoding import Encoding
from tunesmith.data.formats.lines import BAD_ENCODING_FIX, Sample, opened, read_sample
from tunesmith.data.formats.rows import MAX_RECORD_CHARS, Row, too_long
from tunesmith.data.formats.strict_json import DECODER, JsonError, as_cells
from tunesmith.data.problems import ReadLog, refuse
from tunesmith.errors import DataError

__all__ = ["rows"]

_CHUNK_CHARS = 1 << 16
_SHOWN_KEYS = 10
# an error this near to the end of what was read may only mean that more must be read
_LONGEST_TOKEN_CHARS = 12
_SPACE = re.compile(r"[ \t\r\n]*")
_FIX = 'write a list of objects, [{"text": …, "label": …}, …], or one object on each line'


def rows(path: Path, log: ReadLog) -> Iterator[Row]:
    """The objects of a JSON file with the line on which each begins."""
    sample = read_sample(path, log)
    if _is_json_lines(path, sample):
        yield from jsonl.rows(path, sample, log)
        return
    with opened(path, sample, log) as stream:
        yield from _document_rows(_Document(path, stream, sample.encoding), log)


def _is_json_lines(path: Path, sample: Sample) -> bool:
    if sample.text.lstrip().startswith("["):
        return False
    suffix, _ = format_and_compression(path)
    first = next((line for line in sample.lines() if not line.isspace()), "")
    try:
        value = DECODER.decode(first)
    except (ValueError, RecursionError):
        return suffix != ".json"
    return not (isinstance(value, dict) and isinstance(value.get("data"), list))


def _document_rows(document: _Document, log: ReadLog) -> Iterator[Row]:
    match document.peek():
        case "[":
            yield from _list_rows(document, log)
        case "{":
            yield from _object_rows(document, log)
        case _:
            raise document.error("the file begins with neither a list nor an object")
    if document.peek():
        raise document.error("something follows after the end of the document")


def _object_rows(document: _Document, log: ReadLog) -> Iterator[Row]:
    keys, found = [], False
    for _ in document.items("{", "}"):
        keys.append(str(document.value()))
        document.take(":")
        if keys[-1] == "data" and document.peek() == "[":
            found = True
            yield from _list_rows(document, log)
        else:
            document.value()
    if not found:
        raise document.error(f'the object has no list "data"; its keys are {", ".join(keys[:_SHOWN_KEYS])}')


def _list_rows(document: _Document, log: ReadLog) -> Iterator[Row]:
    for line in document.items("[", "]"):
        where = f"{document.file}:{line}"
        try:
            values, bad = as_cells(document.value(), document.encoding)
        except JsonError as error:
            log.fault("bad-json", str(error), where, _FIX)
            continue
        if bad:
            log.fault(
                "bad-encoding", "this object holds bytes that are no character", where, BAD_ENCODING_FIX
            )
        yield Row(values, line, document.file)


class _Document:
    """A cursor over a JSON text that holds no more than one value and a chunk of it."""

    def __init__(self, path: Path, stream: TextIO, encoding: Encoding) -> None:
        self.file = str(path)
        self.line = 1
        self.encoding = encoding
        self._stream = stream
        self._buffer = ""
        self._at = 0

    def peek(self) -> str:
        """The next character that is not white space, "" at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            assert space, "the pattern also matches nothing"
            self._advance(space.end())
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._read(_CHUNK_CHARS):
                return ""

    def take(self, char: str) -> None:
        """Step over a character that must come next."""
        if self.peek() != char:
            raise self.error(f"`{char}` is missing here")
        self._advance(self._at + 1)

    def items(self, begin: str, end: str) -> Iterator[int]:
        """Step through a list or an object: the line of each item, which the caller then takes."""
        self.take(begin)
        if self.peek() == end:
            self.take(end)
            return
        while True:
            self.peek()
            yield self.line
            if self.peek() != ",":
                break
            self.take(",")
        self.take(end)

    def value(self) -> object:
        """Take one whole value; raise DataError with its line where it is none or too long."""
        self.peek()
        size = _CHUNK_CHARS
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._at)
            except RecursionError as error:
                raise self.error("this is nested too deeply") from error
            except JsonError as error:
                raise self.error(str(error)) from error
            except ValueError as error:
                self._grow(size, error)
                size *= 2
                continue
            if end == len(self._buffer) and self._read(_CHUNK_CHARS):
                continue  # a number may go on
            self._advance(end)
            return value

    def _grow(self, size: int, error: ValueError) -> None:
        if len(self._buffer) - self._at > MAX_RECORD_CHARS:
            raise too_long(self.file, self.line) from error
        if not (_may_be_cut(error, len(self._buffer)) and self._read(size)):
            self._advance(getattr(error, "pos", self._at))
            raise self.error(getattr(error, "msg", str(error))) from error

    def _read(self, size: int) -> bool:
        more = self._stream.read(size)
        self._buffer = self._buffer[self._at :] + more
        self._at = 0
        return more != ""

    def _advance(self, at: int) -> None:
        self.line += self._buffer.count("\n", self._at, at)
        self._at = at

    def error(self, what: str) -> DataError:
        """The error that the document is not what it should be at the cursor."""
        return refuse("bad-json", what, f"{self.file}:{self.line}", _FIX)


def _may_be_cut(error: ValueError, end: int) -> bool:
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= end - _LONGEST_TOKEN_CHARS
