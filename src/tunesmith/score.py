"""A table of texts -> the same table with labels, row by row in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.cells import text_of
from tunesmith.data.formats.rows import Row
from tunesmith.data.infer import infer_text_column
from tunesmith.data.read import sampled, stream
from tunesmith.data.write import open_table
from tunesmith.errors import DataError, Problem
from tunesmith.files import refuse_existing
from tunesmith.pipeline import find_bundle
from tunesmith.predict import Predictor, in_chunks

__all__ = ["LABEL", "PROBABILITY", "Scored", "score_file"]

LABEL, PROBABILITY, TRUNCATED = "predicted_label", "probability", "truncated"
_CHUNK_ROWS = 512


@dataclass(frozen=True, slots=True)
class Scored:
    """What scoring a file came to."""

    rows: int
    rows_per_second: float
    notes: tuple[str, ...]


def score_file(
    model: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    text_column: str | None = None,
    overwrite: bool = False,
    on_rows: Callable[[int, float], None] = lambda _rows, _speed: None,
) -> Scored:
    """Write `source` to `out` with three columns more: predicted_label, probability, truncated.

    A row without text keeps its place and gets no label. The formats are those that data is read from;
    `out` appears only when it is whole. `on_rows` hears rows done and rows a second.
    """
    refuse_existing(Path(out), overwrite)
    sample, rows = sampled(stream(source))
    column = infer_text_column(str(source), sample, text_column)
    predictor = find_bundle(model).predictor()
    names = _columns(sample, source)
    empty = 0
    started = time.perf_counter()
    with open_table(out, names) as table:
        done = 0
        for chunk in in_chunks(rows, _CHUNK_ROWS):
            answers = _answers(predictor, [text_of(row.values.get(column)) or "" for row in chunk])
            table.write([{**row.values, **answer} for row, answer in zip(chunk, answers, strict=True)])
            done += len(chunk)
            empty += sum(answer[LABEL] is None for answer in answers)
            on_rows(done, done / (time.perf_counter() - started))
    notes = [f'text is read from column "{column}"'] if text_column is None else []
    if empty:
        notes.append(f"{empty:,} rows have no text and got no label")
    return Scored(done, done / max(1e-9, time.perf_counter() - started), tuple(notes))


def _columns(sample: Sequence[Row], source: str | Path) -> list[str]:
    names = list(dict.fromkeys(name for row in sample for name in row.values))
    taken = [name for name in (LABEL, PROBABILITY, TRUNCATED) if name in names]
    if taken:
        what = f"the table already has a column named {taken[0]!r}"
        raise DataError(Problem("column-taken", what, str(source), "rename or drop that column"))
    return [*names, LABEL, PROBABILITY, TRUNCATED]


def _answers(predictor: Predictor, texts: Sequence[str]) -> list[dict[str, Any]]:
    filled = [text for text in texts if text.strip()]
    predictions = iter(predictor.predict(filled))
    return [
        _answer(predictions) if text.strip() else dict.fromkeys((LABEL, PROBABILITY, TRUNCATED))
        for text in texts
    ]


def _answer(predictions: Iterator[Any]) -> dict[str, Any]:
    prediction = next(predictions)
    return {LABEL: prediction.target, PROBABILITY: prediction.score, TRUNCATED: prediction.truncated}
