"""Batch: a file that is to be answered, and how far that is."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from tunesmith.api.batch_facts import BatchFacts, BatchProblem
from tunesmith.api.exchange import log_fault
from tunesmith.errors import Problem
from tunesmith.predict import Prediction, in_chunks
from tunesmith.task import Task

if TYPE_CHECKING:
    from tunesmith.score.lenient import Predict

__all__ = ["Batch", "BatchRecord", "Status", "Stopped", "Suffix", "is_batch_id", "new_batch_id"]

Status = Literal["waiting", "running", "done", "failed", "stopped"]
Suffix = Literal[".csv", ".jsonl"]

_ID = re.compile(r"batch_[0-9a-f]{32}")
# few, so that whoever asks meanwhile waits for few
_TURN_TEXTS = 16
_CHUNK_ROWS = 64


class Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """The batch is no longer wanted."""


def new_batch_id() -> str:
    """A name that nobody can guess."""
    return f"batch_{secrets.token_hex(16)}"


def is_batch_id(text: str) -> bool:
    """Whether this could be the name of a batch; nothing else is looked for on the disk."""
    return _ID.fullmatch(text) is not None


class BatchRecord(BaseModel):
    """What is known of a batch, as it stands beside its files."""

    id: str
    owner: str
    """A hash of the key that it came with; empty where it came with none."""
    model: str
    suffix: Suffix
    text_column: str | None
    created: float
    """Seconds since 1970, as are all times here."""
    status: Status = "waiting"
    rows_done: int = 0
    rows_total: int | None = None
    rows_per_second: float | None = None
    ended: float | None = None
    problems: list[BatchProblem] = []


@dataclass(slots=True, eq=False)
class Batch:
    """A record, its files, and a way to end its work; `stop` may be set from any thread."""

    record: BatchRecord
    directory: Path
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def source(self) -> Path:
        """What was uploaded."""
        return self.directory / f"input{self.record.suffix}"

    @property
    def result(self) -> Path:
        """The same with its answers, once they are whole."""
        return self.directory / f"result{self.record.suffix}"

    def facts(self, keep_seconds: float) -> BatchFacts:
        """What its owner is told of it."""
        record = self.record
        told = record.model_dump(include=BatchFacts.model_fields.keys() & BatchRecord.model_fields.keys())
        expires = None if record.ended is None else _iso(record.ended + keep_seconds)
        return BatchFacts(**told, created_at=_iso(record.created), expires_at=expires)

    def answer(self, predict: Predict, task: Task) -> None:
        """Write the result; blocks. Raises UserError where the file cannot be read, and Stopped."""
        from tunesmith.score.lenient import score_rows

        self.record.rows_total = self._count()
        patient = _Patient(predict, self)
        problems = score_rows(
            patient.predict,
            task,
            self.source,
            self.result,
            text_column=self.record.text_column,
            chunk_rows=_CHUNK_ROWS,
            on_rows=self._note,
        )
        self.record.problems = self.told(problems)
        if patient.failed:
            what = "the model cannot answer these rows; the log of the server has more"
            self.record.problems.append(BatchProblem(code="server-fault", what=what, count=patient.failed))

    def told(self, problems: Sequence[Problem]) -> list[BatchProblem]:
        """Problems of the file in which no path stands."""
        return [
            BatchProblem(
                code=problem.code,
                what=self._without_path(f"{problem.what}: {problem.where}"),
                count=problem.count,
            )
            for problem in problems
        ]

    def _without_path(self, text: str) -> str:
        return text.replace(f"{self.source}:", "line ").replace(str(self.source), "the file")

    def _count(self) -> int:
        from tunesmith.data.read import stream

        rows = 0
        for _ in stream(self.source, lenient=True):
            self.check()
            rows += 1
        return rows

    def _note(self, rows: int, rows_per_second: float) -> None:
        self.record.rows_done, self.record.rows_per_second = rows, round(rows_per_second, 1)

    def check(self) -> None:
        """Raise Stopped where it is no longer wanted."""
        if self.stop.is_set():
            raise Stopped


class _Patient:
    """Asks a model for a few texts at a time, and goes on where it cannot answer one."""

    def __init__(self, predict: Predict, batch: Batch) -> None:
        self.failed = 0
        self._predict = predict
        self._batch = batch

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        """A Prediction a text, None where there is no answer; raises Stopped."""
        return [each for piece in in_chunks(texts, _TURN_TEXTS) for each in self._some(piece)]

    def _some(self, texts: Sequence[str]) -> Sequence[Prediction | None]:
        self._batch.check()
        try:
            return self._predict(texts)
        except Exception as error:  # noqa: BLE001 -- one row's fault is not another's
            self._batch.check()
            if len(texts) > 1:
                return [answer for text in texts for answer in self._some([text])]
            log_fault(self._batch.record.id, error)
            self.failed += 1
            return [None]


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
