"""The command where torchrun has started it several times: one voice, one exit code."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import typer

from tunesmith.cli.boundary import is_told_here, show_problems
from tunesmith.errors import UserError
from tunesmith.processes import Processes
from tunesmith.torchrun import join

__all__ = ["run_beside_others"]


def run_beside_others(app: typer.Typer) -> NoReturn:
    """Run the command and exit; no process leaves before the main one has said what it has to say.

    torchrun ends all processes as soon as one has failed.
    """
    try:
        processes = join()
    except UserError as error:
        if is_told_here(error):
            show_problems(error.problems)
        sys.exit(error.exit_code)
    code = _run_main(app) if processes.is_main else _run_silent(app)
    _leave(processes)
    sys.exit(code)


def _run_main(app: typer.Typer) -> int | str | None:
    try:
        app(prog_name="tunesmith")
    except SystemExit as end:
        return end.code
    return 0


def _run_silent(app: typer.Typer) -> int:
    # standard output is the main process's
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (it is open to the end)
    try:
        return int(app(prog_name="tunesmith", standalone_mode=False) or 0)
    except Exception as error:
        # a wrong command line, which the main process tells of; typer exports no class for all its kinds
        if not hasattr(error, "exit_code"):
            raise
        return int(error.exit_code)


def _leave(processes: Processes) -> None:
    # it is over: torchrun's signal to those that are a little slower must not change how it ended
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    processes.leave()
