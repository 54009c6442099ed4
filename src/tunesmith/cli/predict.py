"""`tunesmith predict`: texts, standard input or a file -> labels."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import AsJson, ModelPath, Overwrite
from tunesmith.cli.options import TextColumn as TextColumnOption

if TYPE_CHECKING:
    from tunesmith.predict import Prediction, Predictor

__all__ = ["command"]

_NO_LABEL = "(no label)"


@verb("predict")
def command(
    model: ModelPath,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; none and no --file: one a line from standard input.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A table of texts, of any size.", show_default=False, readable=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Where the table goes, with the labels.", show_default=False, readable=False
        ),
    ] = None,
    text_column: TextColumnOption = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, help="Show so many labels of each text, likeliest first.", show_default="those it gives"
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Classify texts, in order and in constant memory.

    Example: [bold]tunesmith predict runs/news "The striker scored twice." --top 3[/]

    Example: [bold]tunesmith predict runs/news --file big.csv --out scored.csv[/]
    """
    if file or out:
        if texts or not (file and out):
            raise typer.BadParameter("a table needs both --file and --out, and no texts beside them")
        _predict_file(model, file, out, text_column, overwrite)
        return
    from tunesmith.pipeline import load

    _predict_texts(load(model), texts if texts else _lines(), top, as_json)


def _lines() -> Iterator[str]:
    if sys.stdin.isatty():
        error_console.print("[dim]one text a line; Ctrl-D ends[/]")
    # bytes that are no UTF-8 become U+FFFD, as they do in files
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace"):
        if line.strip():
            yield line.rstrip("\n")


def _predict_texts(model: Predictor, texts: Iterable[str], top: int | None, as_json: bool) -> None:
    """A person at a terminal is answered line by line; a pipe is read in chunks."""
    answers = model.stream(texts, chunk_texts=1 if sys.stdin.isatty() else None)
    for prediction in answers:
        sys.stdout.write((_as_json(prediction, top) if as_json else _as_line(prediction, top)) + "\n")
        sys.stdout.flush()


def _as_line(prediction: Prediction, top: int | None) -> str:
    cut = "\t(text cut to what the model reads)" if prediction.truncated else ""
    shown = "\t".join(f"{label}\t{score:.4f}" for label, score in _shown(prediction, top))
    return (shown or _NO_LABEL) + cut


def _as_json(prediction: Prediction, top: int | None) -> str:
    scores = [{"label": label, "score": score} for label, score in _shown(prediction, top)]
    match prediction.target:
        case str(label):
            target: dict[str, object] = {"label": label}
        case labels:
            target = {"labels": list(labels)}
    return json.dumps({**target, "scores": scores, "truncated": prediction.truncated}, ensure_ascii=False)


def _shown(prediction: Prediction, top: int | None) -> list[tuple[str, float]]:
    if top is not None:
        return prediction.top(top)
    return [(label, prediction.scores[label]) for label in prediction.labels]


def _predict_file(model: Path, file: Path, out: Path, text_column: str | None, overwrite: bool) -> None:
    from tunesmith.score import score_file

    columns = [TextColumn("  {task.completed:,} rows"), TextColumn("{task.fields[speed]:,.0f} rows/s")]
    with Progress(*columns, TimeElapsedColumn(), console=error_console, transient=True) as bar:
        task = bar.add_task("rows", total=None, speed=0.0)
        scored = score_file(
            model,
            file,
            out,
            text_column=text_column,
            overwrite=overwrite,
            on_rows=lambda rows, speed: bar.update(task, completed=rows, speed=speed),
        )
    for note in scored.notes:
        error_console.print(f"  {note}", markup=False)
    error_console.print(
        f"  wrote {scored.rows:,} rows to {out} ({scored.rows_per_second:,.0f} rows/s)", markup=False
    )
