"""A table -> the same table with labels, by a model that is open, and on over what cannot be read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tunesmith.data.cells import CellError, text_of
from tunesmith.data.formats.rows import Row
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import sampled, stream
from tunesmith.data.write import open_table
from tunesmith.errors import Problem
from tunesmith.predict import Prediction, in_chunks
from tunesmith.score.answers import added_columns, cells_of
from tunesmith.score.output import separator_in, with_cells
from tunesmith.score.source import columns_of, text_column_of
from tunesmith.task import Task

__all__ = ["OnRows", "Predict", "score_rows"]

_CHUNK_ROWS = 512

Predict = Callable[[Sequence[str]], Sequence[Prediction | None]]
"""A Prediction a text, None where the model has none"""
OnRows = Callable[[int, float], None]
"""Hears the rows that are done, and how many a second"""


def score_rows(
    predict: Predict,
    task: Task,
    source: str | Path,
    out: str | Path,
    *,
    text_column: str | None = None,
    chunk_rows: int = _CHUNK_ROWS,
    on_rows: OnRows = lambda _rows, _speed: None,
) -> tuple[Problem, ...]:
    """As `score_file`, but on over every row that cannot be read, and without pieces to go on from.

    A row whose text cannot be read, or to which `predict` gives no Prediction, keeps its place and gets no
    label; one that cannot be read at all is left out. Returns what is wrong with such rows, of which what
    `predict` leaves open is none. Raises DataError where nothing can be read.
    """
    log = ReadLog(lenient=True)
    sample, rows = sampled(stream(source, log=log))
    column, columns = text_column_of(source, task, sample, text_column), columns_of(source, task, sample)
    added, separator = added_columns(task).names, separator_in(out, task)
    done, began = 0, time.perf_counter()
    with open_table(out, [*columns, *added]) as table:
        for chunk in in_chunks(rows, chunk_rows):
            predictions = _answered([_text(row, column, log) for row in chunk], predict)
            table.write(with_cells(chunk, (cells_of(each, added) for each in predictions), separator))
            done += len(chunk)
            on_rows(done, done / max(1e-9, time.perf_counter() - began))
    return log.problems


def _answered(texts: Sequence[str], predict: Predict) -> Iterator[Prediction | None]:
    """A Prediction a text, None where there is nothing to read."""
    asked = [text for text in texts if text.strip()]
    answers = iter(predict(asked) if asked else ())
    return (next(answers) if text.strip() else None for text in texts)


def _text(row: Row, column: str, log: ReadLog) -> str:
    try:
        return text_of(row.values.get(column)) or ""
    except CellError as fault:
        log.fault(fault.code, fault.what, row.where, fault.fix)
        return ""
