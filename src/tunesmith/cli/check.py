"""`tunesmith check`: everything that is wrong with the data, before it costs training time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tunesmith.cli.boundary import error_console, show_problems, verb
from tunesmith.cli.options import AsJson, LabelColumn, LabelKind, Overwrite, TaskFile, TextColumn, kind_from
from tunesmith.cli.output import console, print_json
from tunesmith.cli.sources import Dsn, Sql, source_from

if TYPE_CHECKING:
    from tunesmith.audit.types import Audit
    from tunesmith.data.check import DataReport

__all__ = ["command"]

_CHECK_FAILED = 3


@verb("check")
def command(
    data: Annotated[
        Path | None, typer.Argument(help="The labelled text.", readable=False, show_default=False)
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="A test set, to look for leaks.", show_default=False, readable=False)
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="A validation set, to look for leaks.", show_default=False, readable=False),
    ] = None,
    sql: Sql = None,
    dsn: Dsn = None,
    task: TaskFile = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    kind: LabelKind = None,
    base: Annotated[str, typer.Option(help="The base whose tokens and window count.")] = "embedded",
    fix: Annotated[
        Path | None,
        typer.Option("--fix", help="Write the mended data to this file.", show_default=False, readable=False),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Write what was found as a page.", show_default=False, readable=False),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Check labelled text: labels, duplicates, leaks, shift. Exits 3 where training would be refused.

    Example: [bold]tunesmith check news.csv --test test.csv --fix mended.parquet[/]
    """
    from tunesmith.checking import check_file, mend_file
    from tunesmith.files import refuse_existing

    data = source_from(data, sql, dsn)
    if page:
        refuse_existing(page, overwrite)
    held_out = {name: path for name, path in (("test", test), ("validation", validation)) if path}
    if fix:
        notes = mend_file(
            data,
            fix,
            task=task,
            text_column=text_column,
            label_column=label_column,
            kind=kind_from(kind),
            overwrite=overwrite,
        )
        for note in notes:
            error_console.print(f"  {note}", markup=False)
        error_console.print(f"  mended data: {fix}", markup=False)
        data = fix
    dataset, report, found = check_file(
        data,
        held_out=held_out,
        task=task,
        base=base,
        text_column=text_column,
        label_column=label_column,
        kind=kind_from(kind),
    )
    if page:
        _write_page(page, report, found, str(data))
    if as_json:
        pairs = [asdict(pair) for pair in report.near_pairs]
        print_json(report.to_dict() | {"near_pairs": pairs, "audit": found.to_dict()})
    else:
        for note in dataset.notes:
            error_console.print(f"  {note}", markup=False)
        show_problems(report.problems)
        console.print(_counts(report) if report.label_counts else f"[bold]{report.rows:,} rows[/]")
        _show_lengths(report)
    if not report.ok:
        raise typer.Exit(_CHECK_FAILED)


def _write_page(page: Path, report: DataReport, found: Audit, title: str) -> None:
    from tunesmith.audit.page import as_html
    from tunesmith.files import write_text

    write_text(page, as_html(report, found, title))
    error_console.print(f"  wrote {page}", markup=False)


def _counts(report: DataReport) -> Table:
    table = Table("label", "rows", title=f"{report.rows:,} rows", title_justify="left", title_style="bold")
    for label, count in report.label_counts.items():
        table.add_row(escape(label), f"{count:,}")
    return table


def _show_lengths(report: DataReport) -> None:
    lengths = report.token_lengths
    if lengths is not None:
        console.print(
            f"tokens a text: median {lengths.median:.0f}, 95 % under {lengths.p95:.0f}, "
            f"longest {lengths.longest:,}; {report.duplicates:,} duplicates, {report.leaks:,} leaks"
        )
