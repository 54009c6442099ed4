"""A table of texts -> the same table with labels, or what was written; row by row in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunesmith.bundle import Bundle
from tunesmith.data.cells import CellError, text_of
from tunesmith.data.chat import as_row_text, before_last_answer, is_answered, messages_in
from tunesmith.data.conversation import holds_messages, messages_of_cell
from tunesmith.data.formats.rows import Row
from tunesmith.data.infer import infer_text_column
from tunesmith.data.problems import ReadLog
from tunesmith.data.read import sampled, stream
from tunesmith.data.write import joined, open_table, separator_for
from tunesmith.errors import DataError, Problem
from tunesmith.files import refuse_existing
from tunesmith.pipeline import find_bundle, known_column
from tunesmith.predict import Prediction, in_chunks
from tunesmith.task import Task
from tunesmith.writer import Writer

__all__ = [
    "COMPLETION",
    "FINISH_REASON",
    "LABEL",
    "LABELS",
    "PROBABILITIES",
    "PROBABILITY",
    "TRUNCATED",
    "Scored",
    "score_file",
    "score_rows",
]

LABEL, PROBABILITY, TRUNCATED = "predicted_label", "probability", "truncated"
# of a multi-label model
LABELS, PROBABILITIES = "predicted_labels", "probabilities"
# of a model that writes
COMPLETION, FINISH_REASON = "predicted_completion", "finish_reason"
_SEPARATOR = ";"
_CHUNK_ROWS = 512
_MOST_LATE_COLUMNS = 20

Predict = Callable[[Sequence[str]], Sequence[Prediction | None]]


@dataclass(frozen=True, slots=True)
class Scored:
    """What scoring a file came to."""

    rows: int
    rows_per_second: float
    notes: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    """Rows that could not be read, where that did not end it."""


def score_file(
    model: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    text_column: str | None = None,
    min_confidence: float = 0.0,
    overwrite: bool = False,
    on_rows: Callable[[int, float], None] = lambda _rows, _speed: None,
) -> Scored:
    """Write `source` to `out` with three columns more: predicted_label, probability, truncated.

    Of a multi-label model they are predicted_labels, probabilities, truncated: lists, or in CSV and TSV what
    the task's separator (else `;`) joins. Of a model that writes: predicted_completion, finish_reason,
    truncated; its prompts are texts, or messages of which an answer at their end is left out.
    The text stands in `text_column`, else in the column that the model was trained on, else in one that is
    inferred. A row without text keeps its place and gets no label; nor does one whose likeliest label is less
    likely than `min_confidence`. The formats are those that data is read
    from; in CSV and TSV a cell that a spreadsheet would run as a formula gets a ' before it. `out` appears
    only when it is whole. `on_rows` hears rows done and rows a second.
    """
    refuse_existing(Path(out), overwrite)
    bundle = find_bundle(model)
    table = _Table(source, out, bundle.task, text_column, ReadLog(strict=True))
    return table.scored(lambda: _answers_for(bundle, out, min_confidence), on_rows)


def score_rows(
    predict: Predict,
    task: Task,
    source: str | Path,
    out: str | Path,
    *,
    text_column: str | None = None,
    chunk_rows: int = _CHUNK_ROWS,
    on_rows: Callable[[int, float], None] = lambda _rows, _speed: None,
) -> Scored:
    """As `score_file`, with a model that is open, and on over every row that cannot be read.

    A row whose text cannot be read, or to which `predict` gives no Prediction, keeps its place and gets no
    label; one that cannot be read at all is left out. `problems` tell of all but what `predict` leaves open.
    """
    table = _Table(source, out, task, text_column, ReadLog(lenient=True), chunk_rows)
    return table.scored(lambda: _labels_for(task, out, predict), on_rows)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that is to be scored, and where it goes."""

    source: str | Path
    out: str | Path
    task: Task
    text_column: str | None
    log: ReadLog
    chunk_rows: int = _CHUNK_ROWS

    def scored(self, make_answers: Callable[[], _Answers], on_rows: Callable[[int, float], None]) -> Scored:
        """Score it; a model is loaded only once it is known what of the table it is to read."""
        rows = stream(self.source, for_labels=not self.task.writes, log=self.log)
        sample, rows = sampled(rows)
        column = self._column(sample)
        answers = make_answers()
        columns = _columns(sample, self.source, answers.columns)
        with open_table(self.out, [*columns, *answers.columns]) as table:
            scoring = _Scoring(column, columns, answers, self.log)
            for chunk in in_chunks(rows, self.chunk_rows):
                table.write(scoring.score(chunk))
                on_rows(scoring.done, scoring.rows_per_second)
        notes = [f'text is read from column "{column}"'] if self.text_column is None else []
        notes += scoring.notes()
        return Scored(scoring.done, scoring.rows_per_second, tuple(notes), self.log.problems)

    def _column(self, sample: Sequence[Row]) -> str:
        known = self.text_column or known_column(self.task.text_column, sample)
        return known if self.task.writes and known else infer_text_column(str(self.source), sample, known)


class _Answers(Protocol):
    """What answers rows, and the columns in which its answers stand."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def text(self, cell: object) -> str: ...

    def cells(self, texts: Sequence[str]) -> Iterable[Mapping[str, object]]: ...


@dataclass(frozen=True, slots=True)
class _Labels:
    """How a prediction stands in a table: its columns, and what joins several labels of one cell."""

    predict: Predict
    columns: tuple[str, ...]
    separator: str | None = None

    def text(self, cell: object) -> str:
        return text_of(cell) or ""

    def cells(self, texts: Sequence[str]) -> Iterable[Mapping[str, object]]:
        return map(self._cells, self.predict(texts))

    def _cells(self, prediction: Prediction | None) -> Mapping[str, object]:
        if prediction is None:
            return dict.fromkeys(self.columns)
        match prediction.target:
            case str(label):
                told: tuple[object, object] = (None if prediction.abstained else label, prediction.score)
            case labels:
                scores = [round(prediction.scores[label], 6) for label in labels]
                told = (joined(list(labels), self.separator), joined(scores, self.separator))
        return dict(zip(self.columns, (*told, prediction.truncated), strict=True))


@dataclass(frozen=True, slots=True)
class _Writing:
    """How what is written stands in a table."""

    writer: Writer
    columns: tuple[str, ...] = (COMPLETION, FINISH_REASON, TRUNCATED)

    def text(self, cell: object) -> str:
        if not holds_messages(cell):
            return text_of(cell) or ""
        messages, faults = messages_of_cell(cell)
        for fault in faults:
            raise fault
        return as_row_text(before_last_answer(messages) if is_answered(messages) else messages)

    def cells(self, texts: Sequence[str]) -> Iterable[Mapping[str, object]]:
        prompts = [messages_in(text) if holds_messages(text) else text for text in texts]
        for written in self.writer.write(prompts):
            told = (written.text, written.finish_reason, written.truncated)
            yield dict(zip(self.columns, told, strict=True))


def _answers_for(bundle: Bundle, out: str | Path, min_confidence: float) -> _Answers:
    if bundle.task.writes:
        return _Writing(bundle.writer())
    return _labels_for(bundle.task, out, bundle.predictor().abstaining(min_confidence).predict)


def _labels_for(task: Task, out: str | Path, predict: Predict) -> _Labels:
    if task.kind == "single_label":
        return _Labels(predict, (LABEL, PROBABILITY, TRUNCATED))
    separator = separator_for(out, task, _SEPARATOR)
    return _Labels(predict, (LABELS, PROBABILITIES, TRUNCATED), separator)


def _columns(sample: Sequence[Row], source: str | Path, added: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(name for row in sample for name in row.values))
    taken = [name for name in added if name in names]
    if taken:
        what = f"the table already has a column named {taken[0]!r}"
        raise DataError(Problem("column-taken", what, str(source), "rename or drop that column"))
    return names


class _Scoring:
    """Adds answers to rows, and counts what is worth a note."""

    def __init__(self, column: str, columns: Sequence[str], answers: _Answers, log: ReadLog) -> None:
        self.done = 0
        self._empty = 0
        self._late: dict[str, str] = {}
        self._column = column
        self._log = log
        self._answers = answers
        self._columns = frozenset(columns)
        self._started = time.perf_counter()

    def score(self, rows: Sequence[Row]) -> list[dict[str, object]]:
        texts = [self._text(row) for row in rows]
        answers = iter(self._answers.cells([text for text in texts if text.strip()]))
        nothing = dict.fromkeys(self._answers.columns)
        scored = [
            {**row.values, **(next(answers) if text.strip() else nothing)}
            for row, text in zip(rows, texts, strict=True)
        ]
        self.done += len(rows)
        self._empty += sum(not text.strip() for text in texts)
        self._note_late_columns(rows)
        return scored

    def _text(self, row: Row) -> str:
        try:
            return self._answers.text(row.values.get(self._column))
        except CellError as fault:
            self._log.fault(fault.code, fault.what, row.where, fault.fix)
            return ""

    def _note_late_columns(self, rows: Sequence[Row]) -> None:
        for row in rows:
            for name in row.values:
                if name not in self._columns and len(self._late) < _MOST_LATE_COLUMNS:
                    self._late.setdefault(name, row.where)

    @property
    def rows_per_second(self) -> float:
        return self.done / max(1e-9, time.perf_counter() - self._started)

    def notes(self) -> list[str]:
        late = [
            f'column "{name}" is left out: it first appears at {where}, after the header was written'
            for name, where in self._late.items()
        ]
        return [f"rows without text, which got no label: {self._empty:,}", *late] if self._empty else late
