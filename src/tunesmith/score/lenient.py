"""A table -> the same table with labels, by a model that is open, and on over what cannot be read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.data.cells import CellError, text_of
from tunesmith.data.formats.rows import Row
from tunesmith.data.infer import infer_text_column
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import sampled, stream
from tunesmith.data.write import joined, open_table, separator_for
from tunesmith.errors import DataError, Problem
from tunesmith.pipeline import known_column
from tunesmith.predict import Prediction, in_chunks
from tunesmith.score.answers import added_columns
from tunesmith.task import Task

__all__ = ["LenientlyScored", "OnRows", "Predict", "score_rows"]

_SEPARATOR = ";"
_CHUNK_ROWS = 512

Predict = Callable[[Sequence[str]], Sequence[Prediction | None]]
"""A Prediction a text, None where the model has none"""
OnRows = Callable[[int, float], None]
"""Hears the rows that are done, and how many a second"""


@dataclass(frozen=True, slots=True)
class LenientlyScored:
    """What it came to."""

    rows: int
    rows_per_second: float
    problems: tuple[Problem, ...]
    """Rows that could not be read"""


def score_rows(
    predict: Predict,
    task: Task,
    source: str | Path,
    out: str | Path,
    *,
    text_column: str | None = None,
    chunk_rows: int = _CHUNK_ROWS,
    on_rows: OnRows = lambda _rows, _speed: None,
) -> LenientlyScored:
    """As `score_file`, but on over every row that cannot be read, and without pieces to go on from.

    A row whose text cannot be read, or to which `predict` gives no Prediction, keeps its place and gets no
    label; one that cannot be read at all is left out. `problems` tell of all but what `predict` leaves open.
    Raises DataError where nothing can be read.
    """
    log = ReadLog(lenient=True)
    sample, rows = sampled(stream(source, for_labels=True, log=log))
    known = text_column or known_column(task.text_column, sample)
    column = infer_text_column(str(source), sample, known)
    added = added_columns(task).names
    names = list(dict.fromkeys(name for row in sample for name in row.values))
    _refuse_taken(names, added, source)
    scoring = _Scoring(column, _Cells(added, separator_for(out, task, _SEPARATOR)), predict, log)
    with open_table(out, [*names, *added]) as table:
        for chunk in in_chunks(rows, chunk_rows):
            table.write(list(scoring.score(chunk)))
            on_rows(scoring.done, scoring.rows_per_second)
    return LenientlyScored(scoring.done, scoring.rows_per_second, log.problems)


def _refuse_taken(names: Sequence[str], added: Sequence[str], source: str | Path) -> None:
    if taken := [name for name in added if name in names]:
        what = f"the table already has a column named {taken[0]!r}"
        raise DataError(Problem("column-taken", what, str(source), "rename or drop that column"))


@dataclass(frozen=True, slots=True)
class _Cells:
    """How a prediction stands in a row."""

    columns: Sequence[str]
    separator: str | None

    def of(self, prediction: Prediction | None) -> Mapping[str, object]:
        if prediction is None:
            return dict.fromkeys(self.columns)
        match prediction.target:
            case str(label):
                told: tuple[object, object] = (None if prediction.abstained else label, prediction.score)
            case labels:
                scores = [round(prediction.scores[label], 6) for label in labels]
                told = (joined(list(labels), self.separator), joined(scores, self.separator))
        return dict(zip(self.columns, (*told, prediction.truncated), strict=True))


@dataclass(slots=True)
class _Scoring:
    """Adds answers to rows."""

    column: str
    cells: _Cells
    predict: Predict
    log: ReadLog
    done: int = 0
    began: float = field(default_factory=time.perf_counter)

    def score(self, rows: Sequence[Row]) -> Iterator[dict[str, object]]:
        texts = [self._text(row) for row in rows]
        answers = iter(self._answers([text for text in texts if text.strip()]))
        for row, text in zip(rows, texts, strict=True):
            yield {**row.values, **self.cells.of(next(answers) if text.strip() else None)}
        self.done += len(rows)

    def _answers(self, texts: Sequence[str]) -> Iterable[Prediction | None]:
        return self.predict(texts) if texts else ()

    def _text(self, row: Row) -> str:
        try:
            return text_of(row.values.get(self.column)) or ""
        except CellError as fault:
            self.log.fault(fault.code, fault.what, row.where, fault.fix)
            return ""

    @property
    def rows_per_second(self) -> float:
        return self.done / max(1e-9, time.perf_counter() - self.began)
