"""`tunesmith keys`: who may call the server."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.output import console

__all__ = ["Act", "command"]


class Act(StrEnum):
    """What is done with the file of keys."""

    ADD = "add"
    LIST = "list"
    REMOVE = "remove"


Rate = Annotated[
    int | None,
    typer.Option(min=0, help="Of the key to add: its own limit; 0: none.", show_default="the server's"),
]


@verb("keys")
def command(
    act: Annotated[Act, typer.Argument(help="What to do: add, list or remove.")],
    name: Annotated[
        str | None, typer.Argument(help="Whose key it is; stands in logs and metrics.", show_default=False)
    ] = None,
    file: Annotated[
        Path,
        typer.Option(
            envvar="TUNESMITH_KEYS_FILE",
            help="The file of keys that `--keys` of `tunesmith serve` and `tunesmith studio` names.",
            readable=False,
        ),
    ] = Path("keys.json"),
    project: Annotated[
        str | None,
        typer.Option(
            help="Of the key to add: whose files, jobs and models it is for in a studio.",
            show_default="default",
        ),
    ] = None,
    requests_per_minute: Rate = None,
    texts_per_minute: Rate = None,
) -> None:
    """Make, list or take away keys for the server; the file holds only their hashes.

    A new key is printed once, on standard output. A running server knows of every change within a second.

    Example: [bold]tunesmith keys add alice --file keys.json[/]

    Example: [bold]tunesmith keys list --file keys.json[/]

    Example: [bold]tunesmith keys remove alice --file keys.json[/]
    """
    if (name is None) != (act is Act.LIST):
        raise typer.BadParameter(f"`{act}` takes {'no name' if name else 'the name of a key'}")
    if act is not Act.ADD and (project, requests_per_minute, texts_per_minute) != (None, None, None):
        raise typer.BadParameter("a project and limits are given to a key when it is added")
    if name is None:
        _list(file)
    elif act is Act.REMOVE:
        _remove(file, name)
    else:
        _add(file, name, project, requests_per_minute, texts_per_minute)


def _add(
    file: Path, name: str, project: str | None, requests_per_minute: int | None, texts_per_minute: int | None
) -> None:
    from datetime import UTC, datetime

    from tunesmith.api.keys import add_key

    rates = {"requests_per_minute": requests_per_minute, "texts_per_minute": texts_per_minute}
    key = add_key(file, name, now=datetime.now(UTC), project=project, **rates)
    sys.stdout.write(f"{key}\n")
    error_console.print(
        f"This is the key of {escape(name)}. Keep it now: {escape(str(file))} holds only its hash."
    )


def _remove(file: Path, name: str) -> None:
    from tunesmith.api.keys import remove_key

    remove_key(file, name)
    error_console.print(f"The key of {escape(name)} is no key any more.")


def _list(file: Path) -> None:
    from rich.table import Table

    from tunesmith.api.keys import DEFAULT_PROJECT, read_keys

    table = Table("name", "project", "made", "requests a minute", "texts a minute", box=None, pad_edge=False)
    for key in read_keys(file):
        rates = (key.requests_per_minute, key.texts_per_minute)
        project = key.project or DEFAULT_PROJECT
        table.add_row(key.name, project, f"{key.made:%Y-%m-%d %H:%M} UTC", *(_rate(rate) for rate in rates))
    console.print(table)


def _rate(rate: int | None) -> str:
    return "the server's" if rate is None else f"{rate:,}" if rate else "any number"
