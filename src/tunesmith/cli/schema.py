"""`tunesmith schema`: what task.yaml and recipe.yaml may say."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.output import print_json

__all__ = ["Kind", "command"]


class Kind(StrEnum):
    """The files that have a schema."""

    TASK = "task"
    RECIPE = "recipe"


@verb("schema")
def command(kind: Annotated[Kind, typer.Argument(help="Which file: task or recipe.")]) -> None:
    """Print the JSON schema of task.yaml or recipe.yaml, for editors and for reading.

    Example: [bold]tunesmith schema recipe > recipe.schema.json[/]
    """
    from tunesmith.recipe import Recipe
    from tunesmith.task import Task

    print_json((Task if kind is Kind.TASK else Recipe).model_json_schema())
