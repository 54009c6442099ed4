"""`tunesmith evaluate`: a model on a labelled file it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import AsJson, LabelColumn, ModelPath, Overwrite, SliceColumn, TextColumn
from tunesmith.cli.output import print_json, show_report
from tunesmith.cli.progress import RichListener
from tunesmith.errors import ConfigError, Problem

__all__ = ["command"]

_NO_GO = 3


@verb("evaluate")
def command(
    model: ModelPath,
    data: Annotated[Path, typer.Argument(help="Labelled text that the model has not seen.", readable=False)],
    train_data: Annotated[
        Path | None,
        typer.Option(
            "--train",
            help="Training data, for the cheap rivals to learn from.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    bar: Annotated[bool, typer.Option("--bar", help="Exit 3 unless the task's bar is reached.")] = False,
    task: Annotated[
        Path | None,
        typer.Option(
            help="A task.yaml whose bar counts, not that of the model's own task.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    rival_seconds: Annotated[
        float | None,
        typer.Option(help="What the rivals may take; the recipe's, unless said.", show_default=False),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    slice_column: SliceColumn = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Mark what the words of the worst mistakes did, up to a minute.")
    ] = False,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Also answer the texts with typos and in other cases, up to a minute."
        ),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the report as a page.", show_default=False, readable=False)
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Judge a model on labelled text: accuracy, F1, intervals, confusion, calibration, mistakes; GO or NO-GO.

    Example: [bold]tunesmith evaluate runs/news fresh.csv --train news.csv --html fresh.html[/]
    """
    from tunesmith.config import read_config
    from tunesmith.files import refuse_existing, write_text
    from tunesmith.pipeline import evaluate, find_bundle
    from tunesmith.task import Task

    if html:
        refuse_existing(html, overwrite)
    asked = read_config(task, Task).bar if task else None
    if bar and not (asked or find_bundle(model).task.bar):
        what = "there is no bar to be reached"
        fix = "write one into a task.yaml, `bar: {macro_f1: 0.85, beats: [tfidf]}`, and name it with --task"
        raise ConfigError(Problem("no-bar", what, str(task or model), fix))
    listener = RichListener()
    try:
        report = evaluate(
            model,
            data,
            train_data=train_data,
            text_column=text_column,
            label_column=label_column,
            bar=asked,
            rival_seconds=rival_seconds,
            slice_columns=slice_column or (),
            explain=explain,
            robustness=robustness,
            listener=listener,
        )
    finally:
        listener.close()
    if html:
        from tunesmith.evaluation.html import as_html

        write_text(html, as_html(report, title=f"{model} on {data.name}"))
        error_console.print(f"  wrote {html}", markup=False)
    if as_json:
        print_json(report.to_dict())
    else:
        show_report(report)
    if bar and not report.verdict.go:
        raise typer.Exit(_NO_GO)
