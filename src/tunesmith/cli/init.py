"""`tunesmith init`: a data file -> a commented task.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import LabelColumn, LabelKind, Overwrite, TextColumn, kind_from

if TYPE_CHECKING:
    from tunesmith.task import Task

__all__ = ["command"]


@verb("init")
def command(
    data: Annotated[Path, typer.Argument(help="The labelled text.", readable=False)],
    out: Annotated[Path, typer.Option(help="Where to write the task.", readable=False)] = Path("task.yaml"),
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    kind: LabelKind = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a task.yaml that says which column is the text, which the label, and what the labels are.

    Example: [bold]tunesmith init news.csv && tunesmith train news.csv --task task.yaml[/]
    """
    from tunesmith.data.read import read
    from tunesmith.files import refuse_existing, write_text

    refuse_existing(out, overwrite)
    dataset = read(data, text_column=text_column, label_column=label_column, kind=kind_from(kind))
    write_text(out, _commented(dataset.task, data))
    for note in dataset.notes:
        error_console.print(f"  {note}", markup=False)
    error_console.print(f"  wrote {out}: read it, then: tunesmith train {data} --task {out}", markup=False)


def _commented(task: Task, data: Path) -> str:
    from tunesmith.config import as_commented_yaml

    head = f"# What is to be learned from {data.name}. `tunesmith schema task` says what may stand here.\n"
    return head + as_commented_yaml(task)
