"""`tunesmith compare`: finished runs beside each other, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import AsJson, Overwrite
from tunesmith.cli.output import console, print_json
from tunesmith.cli.progress import RichListener

__all__ = ["command"]


@verb("compare")
def command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Finished runs; each is compared with the first.", readable=False),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled text that none has seen: let the models answer it, not their own test rows.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the comparison as a page.", show_default=False, readable=False),
    ] = None,
    shared: Annotated[
        bool,
        typer.Option("--shared", help="Where test rows differ, compare on those that all share."),
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the same test rows: paired differences, McNemar's test, labels, costs and settings.

    Example: [bold]tunesmith compare runs/news runs/more --out compare.html[/]
    """
    from tunesmith.comparing import compare
    from tunesmith.evaluation.comparison.html import comparison_as_html
    from tunesmith.evaluation.comparison.terminal import comparison_as_terminal
    from tunesmith.files import refuse_existing, write_text

    if out:
        refuse_existing(out, overwrite)
    found = compare(runs, data=data, shared=shared, listener=RichListener())
    if out:
        write_text(out, comparison_as_html(found, title=out.stem))
        error_console.print(f"  wrote {out}", markup=False)
    if as_json:
        print_json(found.to_dict())
    else:
        console.print(comparison_as_terminal(found))
