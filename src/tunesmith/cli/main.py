"""`tunesmith`: the verbs, in the order in which one uses them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tunesmith import __version__
from tunesmith.cli import (
    adapt,
    check,
    compare,
    doctor,
    evaluate,
    export,
    import_openai,
    init,
    keys,
    label,
    predict,
    pretrain,
    quickstart,
    report,
    schema,
    serve,
    split,
    studio,
    train,
    tune,
    worker,
)
from tunesmith.torchrun import process_count

__all__ = ["app", "main"]

_HELP = """Your text in, your own GPT in production out, with proof that it works.

Exit codes: 0 good, 1 something in your input is wrong, 2 the command line is wrong,
3 the data check failed, 130 stopped by Ctrl-C.
"""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_VERBS = (
    *(quickstart, init, label, check, split, train, tune, evaluate, compare, report, predict, export, serve),
    *(studio, import_openai, keys, worker),
    *(pretrain, adapt, schema, doctor),
)
for verb in _VERBS:
    app.command(cls=studio.Serving if verb is studio else None)(verb.command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tunesmith {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave."),
    ] = False,
) -> None:
    """Options of the command itself."""


def main() -> None:
    """The entry point of the `tunesmith` command."""
    # before torch is loaded: threads that wait for each other must not hold a core that others need
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    if process_count() > 1:
        # torch's own lines about a process that was lost say less than our one error
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        from tunesmith.cli.beside import run_beside_others

        run_beside_others(app)
    app(prog_name="tunesmith")
