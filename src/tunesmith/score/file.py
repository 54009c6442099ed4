"""A file of texts -> the same file with answers, in constant memory; what was stopped goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tunesmith.bundle import Bundle
from tunesmith.data.formats.source import source_sha256
from tunesmith.data.write import refuse_unwritable
from tunesmith.errors import DataError, StorageError
from tunesmith.files import refuse_existing
from tunesmith.opening import EngineName, choose_bundle
from tunesmith.score.answers import added_columns, answers_of
from tunesmith.score.here import Done, answered_here
from tunesmith.score.output import Answered, source_changed, write_answered
from tunesmith.score.pieces import FORMAT, Pieces
from tunesmith.score.progress import Scoring, Watch
from tunesmith.score.source import Source, Span, open_source, pieces_of

__all__ = ["Scored", "score_file"]

OnRows = Callable[[Scoring], None]
Place = Literal["here", "ray"]
Answer = Callable[[Source, Sequence[Span]], Iterator[Done]]


@dataclass(frozen=True, slots=True)
class Scored:
    """What scoring a file came to."""

    rows: int
    rows_per_second: float
    """Of the rows that this call answered"""
    notes: tuple[str, ...]


def score_file(
    model: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    text_column: str | None = None,
    min_confidence: float = 0.0,
    engine: EngineName = "torch",
    overwrite: bool = False,
    resume: bool = False,
    on: Place = "here",
    ray_address: str | None = None,
    on_rows: OnRows = lambda _scoring: None,
) -> Scored:
    """Write `source` to `out` with three columns more: predicted_label, probability, truncated.

    Of a multi-label model they are predicted_labels, probabilities, truncated: lists, or in CSV and TSV what
    the task's separator (else `;`) joins. Of a model that writes: predicted_completion, finish_reason,
    truncated; its prompts are texts, or messages of which an answer at their end is left out.
    The text stands in `text_column`, else in the column that the model was trained on, else in one that is
    inferred. A row without text keeps its place and gets no label; nor does one whose likeliest label is less
    likely than `min_confidence`. The formats are those that data is read
    from; in CSV and TSV a cell that a spreadsheet would run as a formula gets a ' before it.

    `engine` is what computes, as `open_predictor` has it. `out` appears only when it is whole. Until then
    answers lie beside it, in `OUT.pieces`; a call that was stopped or killed goes on with `resume`, and ends
    with the file that it would have written. Raises
    ResumeError where the table, the model or an option is another one; DataError, and nothing stays, where a
    row cannot be read; StorageError, and the answers stay, where the disk is full. `on_rows` hears
    of every piece that is done.

    On "ray", pieces are answered by the workers of the Ray cluster at `ray_address`, else of one that is
    started on this machine. The model must lie at the same path on all its machines; the table need not.
    Raises ConfigError where Ray is not installed, ServiceError where there is no cluster.
    """
    source, out = Path(source), Path(out)
    pieces = Pieces(out)
    refuse_existing(out, overwrite or (resume and bool(pieces.begun().get("overwrite"))))
    refuse_unwritable(out)
    bundle = choose_bundle(model, engine)
    unchanged = _signature(source)
    table = open_source(source, bundle.task, text_column, out)
    about = _about(bundle, table, min_confidence)
    with _answering(on, ray_address, bundle, min_confidence) as answer, _told_how_to_go_on():
        if resume:
            pieces.resume(about)
        else:
            pieces.begin(about, overwrite=overwrite)
        watch = _answer_rest(table, pieces, answer, on_rows)
        written, notes = _write(table, pieces)
        if _signature(source) != unchanged:
            raise source_changed(source)
        pieces.finish()
    where = [f'text is read from column "{table.column}"'] if text_column is None else []
    return Scored(written, watch.rows_per_second, (*where, *notes))


def _about(bundle: Bundle, table: Source, min_confidence: float) -> dict[str, Any]:
    """What decides the answers."""
    return {
        "format": FORMAT,
        "sha256": {"input": source_sha256(table.path)},
        "model": bundle.identity,
        "options": {"text_column": table.column, "min_confidence": min_confidence},
    }


@contextmanager
def _answering(on: Place, ray_address: str | None, bundle: Bundle, min_confidence: float) -> Iterator[Answer]:
    """What answers a table, but for the rows that are done."""
    match on:
        case "here":
            answers = answers_of(bundle, min_confidence)
            yield lambda table, done: answered_here(answers, pieces_of(table, done))
        case "ray":
            from tunesmith.score.on_ray import connected

            with connected(ray_address) as cluster:
                yield partial(
                    cluster.answered,
                    model=bundle.path,
                    identity=bundle.identity,
                    min_confidence=min_confidence,
                )


def _signature(path: Path) -> tuple[int, int] | None:
    """What tells at no cost whether somebody wrote to a file."""
    if not path.is_file():
        return None
    about = path.stat()
    return about.st_size, about.st_mtime_ns


@contextmanager
def _told_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        fix = "free some space, then go on with --resume: what is answered is kept"
        raise StorageError(
            replace(problem, fix=fix) if problem.code == "disk-full" else problem
            for problem in error.problems
        ) from error


def _answer_rest(table: Source, pieces: Pieces, answer: Answer, on_rows: OnRows) -> Watch:
    """Answer what is not answered yet; where a row cannot be read, nothing stays."""
    done = pieces.spans()
    watch = Watch(table, sum(stop - start for start, stop in done))
    try:
        for piece in answer(table, done):
            pieces.write(piece.span, piece.answers)
            on_rows(watch.answered(piece))
    except DataError:
        # the table must change, and no answer is kept for another table
        pieces.remove()
        raise
    except BaseException:
        pieces.remove_empty()
        raise
    return watch


def _write(table: Source, pieces: Pieces) -> tuple[int, list[str]]:
    """Write the rows with their answers beside the pieces: how many there are, and what is worth a note."""
    answers = Answered(pieces.tables(), added_columns(table.task), table.path)
    late = write_answered(table, answers, pieces.draft)
    empty = [f"rows without text, which got no label: {answers.empty:,}"] if answers.empty else []
    return answers.rows, [*empty, *late]
