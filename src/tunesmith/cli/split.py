"""`tunesmith split`: which rows are for training, validation and test, once and for all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import (
    AsJson,
    GroupColumn,
    LabelColumn,
    LabelKind,
    Overwrite,
    TaskFile,
    TextColumn,
    TimeColumn,
    kind_from,
)
from tunesmith.cli.output import console, print_json
from tunesmith.cli.sources import Dsn, Sql, source_from

__all__ = ["command"]


@verb("split")
def command(
    data: Annotated[
        Path | None, typer.Argument(help="The labelled text.", readable=False, show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the split is written.", readable=False)] = Path(
        "split.json"
    ),
    folds: Annotated[
        int | None,
        typer.Option(help="Deal the rows out to so many folds.", min=2, max=1000, show_default=False),
    ] = None,
    group_column: GroupColumn = None,
    time_column: TimeColumn = None,
    test_fraction: Annotated[
        float, typer.Option(help="The share of the rows for the test.", min=0.001, max=0.5)
    ] = 0.15,
    validation_fraction: Annotated[
        float, typer.Option(help="The share of the rows for validation.", min=0.0, max=0.5)
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Decides which rows go where.", min=0)] = 0,
    sql: Sql = None,
    dsn: Dsn = None,
    task: TaskFile = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    kind: LabelKind = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Say which rows are for training, validation and test, for every run that is to be compared.

    Example: [bold]tunesmith split news.csv --folds 5 --group-column author --out folds.json[/]
    """
    from tunesmith.checking import split_file
    from tunesmith.data.parting import Parting

    counts, how = split_file(
        source_from(data, sql, dsn),
        out,
        Parting(seed, validation_fraction, test_fraction, group_column, time_column),
        folds=folds,
        task=task,
        text_column=text_column,
        label_column=label_column,
        kind=kind_from(kind),
        overwrite=overwrite,
    )
    if as_json:
        print_json({"rows": counts, "how": how, "out": str(out)})
        return
    for name, count in counts.items():
        console.print(f"{name:>12} {count:>10,} rows", markup=False, highlight=False)
    error_console.print(f"  {how}", markup=False)
    option = "--split FILE --fold 1" if folds else "--split FILE"
    error_console.print(f"  wrote {out}: tunesmith train DATA {option} uses it", markup=False)
