"""`tunesmith report`: the report of a finished run, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import AsJson, ModelPath, Overwrite
from tunesmith.cli.output import print_json, show_report

__all__ = ["command"]


@verb("report")
def command(
    model: ModelPath,
    html: Annotated[
        Path | None, typer.Option(help="Write the report as a page.", show_default=False, readable=False)
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Show how good a model was on its test split, beside its rivals.

    Example: [bold]tunesmith report runs/news --html news.html[/]
    """
    from tunesmith.evaluation.html import as_html
    from tunesmith.evaluation.types import Report
    from tunesmith.files import refuse_existing, write_text
    from tunesmith.pipeline import find_bundle

    bundle = find_bundle(model)
    report = Report.from_dict(bundle.read("report.json"), str(bundle.path / "report.json"))
    if html:
        refuse_existing(html, overwrite)
        write_text(html, as_html(report, title=str(model)))
        error_console.print(f"  wrote {html}", markup=False)
    if as_json:
        print_json(report.to_dict())
    else:
        show_report(report)
