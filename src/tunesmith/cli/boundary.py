"""The one place where faults become words and exit codes."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from tunesmith.errors import ConfigError, Problem, UserError, problem_lines
from tunesmith.torchrun import process_count, process_rank

__all__ = ["INTERRUPTED", "error_console", "is_told_here", "show_problems", "show_resume", "verb"]

INTERRUPTED = 130
_MOST_SHOWN = 20
_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}

CommandT = TypeVar("CommandT", bound=Callable[..., None])

error_console = Console(stderr=True, highlight=False, soft_wrap=True)
"""People read standard error; standard output is for data."""


def verb(name: str) -> Callable[[CommandT], CommandT]:
    """Name a command and show its user's faults without a traceback."""

    def decorate(command: CommandT) -> CommandT:
        @functools.wraps(command)
        def guarded(*args: object, **kwargs: object) -> None:
            from tunesmith.files import storage_errors

            try:
                _refuse_processes(name)
                # what the system refuses anywhere else is told by those who asked it, with the path
                with storage_errors(Path("standard output")):
                    command(*args, **kwargs)
                    sys.stdout.flush()
            except UserError as error:
                if is_told_here(error):
                    show_problems(error.problems)
                _drop_what_cannot_be_written()
                raise typer.Exit(error.exit_code) from None
            except KeyboardInterrupt as stop:
                _stopped(stop)
            except BrokenPipeError:
                # the reader went away (`| head`): that is no fault
                _drop_what_cannot_be_written()
                raise typer.Exit(0) from None

        guarded.__name__ = name
        return guarded  # type: ignore[return-value]

    return decorate


def _refuse_processes(name: str) -> None:
    if process_count() > 1 and name != "train":
        fix = f"start it without torchrun: tunesmith {name}"
        problem = Problem("one-process", f"`{name}` runs in one process", "the command line", fix)
        error = ConfigError(problem)
        error.agreed = True
        raise error


def is_told_here(error: UserError) -> bool:
    """Whether this process tells it: the main one for all, another only what it alone has met."""
    return process_rank() == 0 or not error.agreed


def show_problems(problems: Iterable[Problem]) -> None:
    """Print each problem in its three lines to standard error."""
    shown = list(problems)
    for problem in shown[:_MOST_SHOWN]:
        first, *others = problem_lines(problem)
        colour = _COLOURS[problem.severity]
        error_console.print(f"[bold {colour}]{escape(first)}[/]")
        for line in others:
            error_console.print(escape(line))
    if len(shown) > _MOST_SHOWN:
        error_console.print(f"… and {len(shown) - _MOST_SHOWN} problems more")


def _stopped(stop: KeyboardInterrupt) -> NoReturn:
    said = str(stop) or "stopped; nothing that was finished is lost"
    if process_rank() == 0:
        error_console.print(f"\n[bold]{escape(said)}[/]")
    raise typer.Exit(INTERRUPTED) from None


def _drop_what_cannot_be_written() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try again at exit, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_resume(said: str, *, again: bool = False) -> None:
    """Print how to go on: the command line that was typed, with --resume; or `again`, as it was."""
    if process_rank() > 0:
        return
    verb, *typed = sys.argv[1:]
    words = [word for word in typed if word not in ("--resume", "--overwrite")]
    # before the others: what follows a `--` is no option
    command = f"{_program()} {shlex.join([verb, *([] if again else ['--resume']), *words])}"
    error_console.print(f"[bold]{escape(said)}; go on with:[/]\n  {escape(command)}")


def _program() -> str:
    if process_count() == 1:
        return "tunesmith"
    here = os.environ.get("LOCAL_WORLD_SIZE", "1")
    machines = process_count() // int(here)
    # how the machines find each other is not known here
    rendezvous = f"--nnodes {machines} … " if machines > 1 else ""
    return f"torchrun {rendezvous}--nproc-per-node {here} -m tunesmith"
