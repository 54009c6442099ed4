"""`tunesmith train`: a file of labelled text -> a proven model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.options import (
    AsJson,
    Base,
    GroupColumn,
    LabelColumn,
    LabelKind,
    Overwrite,
    Resume,
    SliceColumn,
    TaskFile,
    TestSet,
    TextColumn,
    TimeColumn,
    TrainingData,
    ValidationSet,
    kind_from,
    recipe_from,
)
from tunesmith.cli.output import print_json, show_run
from tunesmith.cli.progress import RichListener, resumable
from tunesmith.cli.sources import Dsn, Sql, source_from
from tunesmith.torchrun import join, process_rank

__all__ = ["command"]


@verb("train")
def command(
    data: TrainingData = None,
    test: TestSet = None,
    validation: ValidationSet = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the run goes.", show_default="runs/NAME", readable=False)
    ] = None,
    sql: Sql = None,
    dsn: Dsn = None,
    task: TaskFile = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    kind: LabelKind = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe.yaml.", show_default=False, readable=False)
    ] = None,
    base: Base = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="What is trained: `full`, `lora`, `qlora`, `head`, `frozen` or `head-first`; "
            "`auto` goes by memory.",
            show_default="auto",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="How often each training example is seen.", show_default="auto")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The peak learning rate of AdamW.", show_default="auto")
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            help="Longer texts are cut to this many tokens; at most the window of the base.",
            show_default="window",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Decides the split, the batch order, the head's first weights and dropout.", show_default="0"
        ),
    ] = None,
    group_column: GroupColumn = None,
    time_column: TimeColumn = None,
    split: Annotated[
        Path | None,
        typer.Option(
            help="A split that was saved before, by `tunesmith split` or as split.json of a run; "
            "nothing is drawn.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option(help="Of a saved split in folds, the one that is the test.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other key of the recipe, as key=value; repeat.", show_default=False),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="Tell the measurements to `tensorboard`, `mlflow` or `wandb`, within the run; repeat.",
            show_default=False,
        ),
    ] = None,
    slice_column: SliceColumn = None,
    learning_curve: Annotated[
        bool,
        typer.Option(
            "--learning-curve",
            help="Also learn from an eighth, a quarter and half of the rows: what would twice as many bring?",
        ),
    ] = False,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a classifier, prove it on an untouched test split, and write a model and a report.

    Example: [bold]tunesmith train news.csv --out runs/news[/]
    """
    flags = {
        "base": base,
        "method": method,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "max_tokens": max_tokens,
        "seed": seed,
        "group_column": group_column,
        "time_column": time_column,
        "split": str(split) if split else None,
        "fold": fold,
    }
    chosen = join().together(lambda: recipe_from(recipe, flags, settings or []))
    from tunesmith.pipeline import train

    listener = RichListener(quiet=process_rank() > 0)
    with resumable(listener) as stop:
        run = train(
            source_from(data, sql, dsn),
            test=test,
            validation=validation,
            out=out,
            task=task,
            recipe=chosen,
            text_column=text_column,
            label_column=label_column,
            kind=kind_from(kind),
            overwrite=overwrite,
            resume=resume,
            track=track or (),
            slice_columns=slice_column or (),
            learning_curve=learning_curve,
            listener=listener,
            should_stop=stop,
        )
    if as_json:
        print_json(run.report.to_dict())
    else:
        show_run(run)
