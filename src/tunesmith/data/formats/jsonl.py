"""JSON Lines -> rows: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.formats.lines import BAD_ENCODING_FIX, Sample, text_lines
from tunesmith.data.formats.rows import Row
from tunesmith.data.formats.strict_json import DECODER, JsonError, as_cells
from tunesmith.data.problems import ReadLog

__all__ = ["rows"]


def rows(path: Path, sample: Sample, log: ReadLog) -> Iterator[Row]:
    """The objects of a JSON Lines file; a line that is none is noted and left out."""
    file = str(path)
    for number, line in enumerate(text_lines(path, sample, log), 1):
        if line.isspace():
            continue
        try:
            values, bad = as_cells(DECODER.decode(line), sample.encoding)
        except (ValueError, RecursionError) as error:
            log.fault("bad-json", _reason(error), f"{file}:{number}", "write one JSON object on each line")
            continue
        if bad:
            what = "this line holds half a character (a lone \\ud800…\\udfff)"
            log.fault("bad-encoding", what, f"{file}:{number}", BAD_ENCODING_FIX)
        yield Row(values, number, file)


def _reason(error: Exception) -> str:
    match error:
        case JsonError():
            return str(error)
        case RecursionError():
            return "this is nested too deeply"
        case _:
            return f"this line is not JSON: {error}"
