"""`tunesmith predict --file`: what people see while a table is scored, and how a stopped one goes on."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from tunesmith.cli.boundary import INTERRUPTED, error_console, show_resume

if TYPE_CHECKING:
    from tunesmith.score import Scoring

__all__ = ["Place", "predict_file"]


class Place(StrEnum):
    """Where a table is scored, as it is typed."""

    HERE = "here"
    RAY = "ray"


def predict_file(model: Path, file: Path, out: Path, **how: Any) -> None:
    """Score a table with a bar of its rows; `how` is what `score_file` takes."""
    from tunesmith.score import pieces_beside, score_file

    columns = [TextColumn("  {task.description}"), TimeElapsedColumn()]
    with Progress(*columns, console=error_console, transient=True) as bar:
        task = bar.add_task("0 rows", total=None)
        try:
            scored = score_file(
                model, file, out, on_rows=lambda so_far: bar.update(task, description=_said(so_far)), **how
            )
        except KeyboardInterrupt:
            bar.stop()
            if not pieces_beside(out).is_dir():
                raise
            show_resume("stopped")
            raise typer.Exit(INTERRUPTED) from None
    for note in scored.notes:
        error_console.print(f"  {note}", markup=False)
    error_console.print(
        f"  wrote {scored.rows:,} rows to {out} ({scored.rows_per_second:,.0f} rows/s)", markup=False
    )


def _said(so_far: Scoring) -> str:
    """Rows, of how many, how fast and how much longer, as far as that is known."""
    about = "about " if so_far.estimated else ""
    of = "" if so_far.total is None else f" of {about}{so_far.total:,}"
    parts = [f"{so_far.rows:,}{of} rows", f"{so_far.rows_per_second:,.0f} rows/s"]
    if so_far.seconds_left is not None:
        parts.append(f"{about}{timedelta(seconds=round(so_far.seconds_left))} left")
    return ", ".join(parts)
