"""What Ray runs elsewhere: a reader that cuts a table into pieces, and workers that answer them.

Faults travel as pieces do, in a row of their own: Ray wraps what is raised in errors of its own.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunesmith import errors
from tunesmith.errors import BundleError, Problem, UserError
from tunesmith.pipeline import find_bundle
from tunesmith.score.answers import Answers, answered, answers_of, asked_of
from tunesmith.score.here import Done
from tunesmith.score.source import Piece, Source, Span, pieces_of

__all__ = ["Worker", "done_of", "read_blocks"]

_TEXTS = pa.schema({"start": pa.int64(), "share": pa.float64(), "texts": pa.large_list(pa.large_string())})
_ANSWERS = pa.schema(
    {"start": pa.int64(), "stop": pa.int64(), "share": pa.float64(), "answers": pa.large_binary()}
)
# the start of a piece that tells what is wrong
_FAULT = -1


def read_blocks(source: Source, done: Sequence[Span], directory: Path) -> Iterator[pa.Table]:
    """A block of one row for each piece that is not `done`; last of all what is wrong, if anything is.

    A relative path of the source is one from `directory`, for workers start elsewhere.
    """
    with contextlib.chdir(directory):
        try:
            for piece in pieces_of(source, done):
                yield _texts_row(piece)
        except UserError as error:
            yield _texts_row(Piece(_FAULT, [_told(error)], None))


def _texts_row(piece: Piece) -> pa.Table:
    row = {"start": piece.start, "share": piece.share, "texts": piece.texts}
    return pa.Table.from_pylist([row], schema=_TEXTS)


class Worker:
    """Holds the model at `model`, whose manifest must be that of the driver's, and answers pieces."""

    def __init__(self, model: str, identity: str, min_confidence: float) -> None:
        self._model = model
        self._identity = identity
        self._min_confidence = min_confidence
        self._answers: Answers | None = None

    def __call__(self, block: pa.Table) -> pa.Table:
        """The answers to a block of one piece."""
        (row,) = block.to_pylist()
        piece = Piece(row["start"], row["texts"], row["share"])
        if piece.start == _FAULT:
            return _answers_row(piece, piece.texts[0].encode())
        try:
            return _answers_row(piece, _packed(self._answered(piece)))
        except UserError as error:
            return _answers_row(Piece(_FAULT, [], None), _told(error).encode())

    def _answered(self, piece: Piece) -> pa.Table:
        # not in the constructor, where a fault would be no piece
        if self._answers is None:
            self._answers = _opened(self._model, self._identity, self._min_confidence)
        return answered(self._answers, asked_of(self._answers, piece.texts))


def _opened(model: str, identity: str, min_confidence: float) -> Answers:
    bundle = find_bundle(model)
    if bundle.identity != identity:
        what = "a worker of the cluster finds another model here than the machine of the call"
        fix = "put the same model at this path on every machine"
        raise BundleError(Problem("another-model", what, model, fix))
    return answers_of(bundle, min_confidence)


def _answers_row(piece: Piece, answers: bytes) -> pa.Table:
    start, stop = piece.span
    row = {"start": start, "stop": stop, "share": piece.share, "answers": answers}
    return pa.Table.from_pylist([row], schema=_ANSWERS)


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _told(error: UserError) -> str:
    kind = type(error).__name__
    return json.dumps({"kind": kind, "problems": [asdict(problem) for problem in error.problems]})


def done_of(row: dict[str, Any]) -> Done:
    """What a worker answered; raise the fault that it tells instead."""
    if row["start"] == _FAULT:
        told = json.loads(row["answers"])
        raise getattr(errors, told["kind"])([Problem(**problem) for problem in told["problems"]])
    table = pa.ipc.open_stream(row["answers"]).read_all()
    return Done((row["start"], row["stop"]), row["share"], table)
