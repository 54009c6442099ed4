"""JSON Lines from strangers: one object a line, in bounded memory, whatever the file holds."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator
from typing import IO

from tunesmith.data.cells import CellError
from tunesmith.data.formats.encoding import Encoding
from tunesmith.data.formats.rows import MAX_RECORD_CHARS
from tunesmith.data.formats.strict_json import JsonError, as_cells, strict_decoder
from tunesmith.data.problems import shown

__all__ = ["Values", "lines", "values_of"]

Values = dict[str, object]
"""What one line holds: its cells by name"""

_CHUNK_BYTES = 1 << 20
# what opens or parts values: more of them would take far more memory than their bytes
_MOST_VALUES = 1_000_000
_UTF8 = Encoding("utf-8")
_FIX = "write one JSON object on each line"
_BYTES_FIX = "save the file as UTF-8"


def lines(stream: IO[bytes], most_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """Every line with its number from 1, its end left out; None in place of one over `most_bytes`.

    No more than the longest line that is allowed is held, and none is longer than an engine's record.
    """
    most, number = min(most_bytes, MAX_RECORD_CHARS), 0
    while line := stream.readline(most + 2):
        number += 1
        if len(line.rstrip(b"\r\n")) > most:
            _skip_rest(stream, line)
            yield number, None
            continue
        line = line.rstrip(b"\r\n")
        yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def _skip_rest(stream: IO[bytes], begun: bytes) -> None:
    while begun and not begun.endswith(b"\n"):
        begun = stream.readline(_CHUNK_BYTES)


def values_of(line: bytes | None) -> Values:
    """The object that a line holds; raises CellError where it holds something else."""
    if line is None:
        what = "the line is longer than any may be"
        raise CellError("line-too-long", what, "split the text, or leave the line out")
    if line.count(b",") + line.count(b"[") + line.count(b"{") > _MOST_VALUES:
        raise CellError("bad-json", f"the line holds more than {_MOST_VALUES:,} values", _FIX)
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        what = f"the line holds bytes that are not UTF-8 (byte {error.start + 1})"
        raise CellError("bad-encoding", what, _BYTES_FIX) from error
    return _parsed(text)


def _parsed(text: str) -> Values:
    try:
        cells, bad = as_cells(_DECODER.decode(text), _UTF8)
    except _DuplicateError as error:
        raise CellError("duplicate-key", str(error), "give each key once") from error
    except RecursionError as error:
        raise CellError("bad-json", "this is nested too deeply", _FIX) from error
    except JsonError as error:
        raise CellError("bad-json", str(error), _FIX) from error
    except ValueError as error:
        raise CellError("bad-json", f"the line is not JSON: {error}", _FIX) from error
    if bad:
        what = "the line holds half a character (a lone \\ud800…\\udfff), or \\u0000"
        raise CellError("bad-encoding", what, _BYTES_FIX)
    return cells


class _DuplicateError(ValueError):
    """An object that has a key twice."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise _DuplicateError(f"the key {shown(key)} stands twice in one object")
    return made


_DECODER = strict_decoder(_object)
