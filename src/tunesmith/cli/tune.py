"""`tunesmith tune`: many recipes tried, the best trained, and whether that was worth it."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tunesmith.cli.boundary import verb
from tunesmith.cli.options import (
    AsJson,
    Base,
    LabelColumn,
    LabelKind,
    TaskFile,
    TestSet,
    TextColumn,
    TrainingData,
    ValidationSet,
    kind_from,
    recipe_from,
    with_searches,
)
from tunesmith.cli.output import console, print_json
from tunesmith.cli.progress import RichListener, resumable
from tunesmith.cli.sources import Dsn, Sql, source_from

if TYPE_CHECKING:
    from tunesmith.tuning.types import Tuning

__all__ = ["Pruner", "command"]

_MOST_SHOWN = 5


class Pruner(StrEnum):
    """What ends a trial early."""

    MEDIAN = "median"
    HYPERBAND = "hyperband"
    NONE = "none"


@verb("tune")
def command(
    data: TrainingData = None,
    test: TestSet = None,
    validation: ValidationSet = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the search goes.", show_default="runs/NAME-tuned", readable=False),
    ] = None,
    sql: Sql = None,
    dsn: Dsn = None,
    task: TaskFile = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    kind: LabelKind = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="A recipe.yaml: the defaults to be beaten.", show_default=False, readable=False),
    ] = None,
    base: Base = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A key of the recipe, as key=value, which is then not searched; repeat.",
            show_default=False,
        ),
    ] = None,
    searches: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            help="Where a key is searched, as key=low..high, key=a,b,c, key=off, or key alone; repeat.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials of the study, whoever runs them.", show_default="20, or as --minutes allows"
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="No trial begins after these; the final model follows.", show_default=False
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="A database that several processes share, as SQLAlchemy names it.",
            show_default="study.db in --out",
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="What the study is called there.", show_default="as --out")
    ] = None,
    pruner: Annotated[
        Pruner, typer.Option(help="What ends a trial that does badly at its evaluations.")
    ] = Pruner.MEDIAN,
    seed: Annotated[
        int | None,
        typer.Option(help="Decides the split, every training and what is tried.", show_default="0"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search the recipe on validation rows, train the best, and prove it against the defaults on test rows.

    The same command goes on with a search that was stopped, and with more --trials.

    Example: [bold]tunesmith tune news.csv --trials 20 --out runs/tuned[/]
    """
    plain = recipe_from(recipe, {"base": base, "seed": seed}, settings or [])
    chosen = with_searches(plain, searches) if searches else plain
    from tunesmith.tuning.tune import tune

    listener = RichListener()
    with resumable(listener, again=True) as stop:
        found = tune(
            source_from(data, sql, dsn),
            test=test,
            validation=validation,
            out=out,
            task=task,
            recipe=chosen,
            text_column=text_column,
            label_column=label_column,
            kind=kind_from(kind),
            trials=trials,
            minutes=minutes,
            storage=storage,
            study=study,
            pruner=pruner.value,
            listener=listener,
            should_stop=stop,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)


def _show(found: Tuning) -> None:
    """The best trials, whether the defaults are beaten, and what to type next."""
    console.print(_table(found))
    if found.comparison is not None:
        console.print(f"[bold]{escape(found.comparison.headline)}[/]")
        for sentence in found.comparison.sentences:
            console.print(escape(sentence), soft_wrap=True)
    page = found.directory / "tuning.html"
    steps = [("read the search", str(page))]
    if found.report is not None:
        model = shlex.quote(str(found.model_path))
        steps.append(("read the report", f"{found.directory / 'best' / 'report.html'}"))
        steps.append(("ask the model", f'tunesmith predict {model} "your text"'))
    for purpose, line in steps:
        console.print(f"  [dim]{purpose:<16}[/] {escape(line)}", soft_wrap=True)


def _table(found: Tuning) -> Table:
    from tunesmith.tuning.types import said

    table = Table("trial", "ended", "score", "recipe", title="The best trials, on the validation rows")
    for trial in found.trials[:_MOST_SHOWN]:
        params = ", ".join(f"{name} {said(value)}" for name, value in trial.params.items())
        table.add_row(
            f"{trial.number}",
            trial.note or trial.state,
            "–" if trial.score is None else f"{trial.score:.4f}",
            escape(f"the defaults: {params}" if trial.defaults else params),
        )
    return table
