"""What verbs print when they are done."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from tunesmith.evaluation.types import Report
    from tunesmith.run import Run

__all__ = ["console", "print_json", "show_report", "show_run"]


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the boundary, which ends every verb in the same way."""
        raise BrokenPipeError


console = _Output(highlight=False)
"""Standard output, for what was asked for."""


def print_json(value: Any) -> None:
    """One indented JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_report(report: Report) -> None:
    """The report as tables."""
    from tunesmith.evaluation.terminal import as_terminal

    console.print(as_terminal(report))


def show_run(run: Run) -> None:
    """The report, and what to type next."""
    show_report(run.report)
    model = shlex.quote(str(run.model_path))
    steps = [
        ("read the report", f"{run.directory / 'report.html'}"),
        ("ask it", f'tunesmith predict {model} "your text"'),
    ]
    if not run.task.writes:
        steps.append(("serve", f"tunesmith serve {model}"))
    for purpose, line in steps:
        console.print(f"  [dim]{purpose:<16}[/] {escape(line)}", soft_wrap=True)
