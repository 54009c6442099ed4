"""What people see while a pipeline works: stages, notes, problems and a bar."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tunesmith.cli.boundary import INTERRUPTED, error_console, show_problems, show_resume
from tunesmith.listener import Listener
from tunesmith.torchrun import process_count, process_rank

if TYPE_CHECKING:
    from tunesmith.data.check import DataReport
    from tunesmith.training.state import Progress as TrainingProgress

__all__ = ["RichListener", "StopSignal", "resumable", "stop_signal"]

# in these stages a run has begun: it can be stopped and go on
_STEPS = ("train", "pretrain", "adapt", "learning-curve", "tune")
_AFTER_STEPS = ("evaluate", "write")

_STOPPING = b"\nstopping after this step\n"
# torchrun passes only the first Ctrl-C on
_STOPPING_AND_HOW = b"\nstopping after this step; Ctrl-C again stops at once\n"

_STAGES = {
    "read": "Reading the data",
    "check": "Checking the data",
    "tokenise": "Loading the base and tokenising",
    "train": "Fine-tuning",
    "evaluate": "Evaluating on the untouched test split, beside cheap rivals",
    "learning-curve": "Learning from shares of the training rows",
    "write": "Writing the model and the report",
    "pretrain": "Pre-training",
    "adapt": "Reading on, in the language of your text",
    "tune": "Searching the recipe, on the validation rows",
    "export": "Writing the model in its new form",
    "parity": "Comparing its answers with its source's",
    "compare": "Comparing with the defaults on the test rows",
}


class RichListener(Listener):
    """Shows a pipeline's progress on standard error; a bar only where there is a terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.current = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._begun = time.monotonic()

    def stage(self, name: str) -> None:
        """Show that a stage begins."""
        self.current = name
        self._end_bar()
        if not self.quiet:
            error_console.print(f"[bold cyan]▸[/] [bold]{_STAGES.get(name, name)}[/]")

    def note(self, text: str) -> None:
        """Show what was inferred or chosen."""
        if not self.quiet:
            error_console.print(f"  {escape(text)}")

    def checked(self, report: DataReport) -> None:
        """Show warnings, and what the data holds."""
        show_problems(report.problems)
        counts = ", ".join(f"{label} {count:,}" for label, count in list(report.label_counts.items())[:12])
        self.note(f"{report.rows:,} rows: {counts}")

    def training(self, progress: TrainingProgress) -> None:
        """Move the bar; after an evaluation, print its figures."""
        if self.quiet:
            return
        if progress.validation is not None:
            self._print_evaluation(progress)
        if error_console.is_terminal:
            self._move_bar(progress)

    def answered(self, who: str, done: int, total: int) -> None:
        """Move a bar of test rows; it is another's where another answers."""
        if self.quiet or not error_console.is_terminal:
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("  {task.description} answers test row"),
                MofNCompleteColumn(),
                BarColumn(),
                TimeRemainingColumn(),
                console=error_console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(who, total=total)
        assert self._task is not None
        self._bar.update(self._task, description=who, completed=done, total=total)

    def _print_evaluation(self, progress: TrainingProgress) -> None:
        assert progress.validation is not None
        figures = "  ".join(
            f"{name.replace('_', ' ')} {value:.3f}"
            for name, value in progress.validation.items()
            if name != "score"
        )
        seconds = time.monotonic() - self._begun
        where = f"epoch {progress.epoch}  step {progress.step}/{progress.total_steps}"
        speed = f"{progress.tokens_per_second:,.0f} tokens/s"
        error_console.print(f"  {where}  {figures}  [dim]{speed}  {seconds:.0f} s[/]")

    def _move_bar(self, progress: TrainingProgress) -> None:
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task("training", total=progress.total_steps, loss=0.0, speed=0.0)
        assert self._task is not None
        self._bar.update(
            self._task,
            completed=progress.step,
            total=progress.total_steps,
            loss=progress.train_loss,
            speed=progress.tokens_per_second,
        )

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def close(self) -> None:
        """Take the bar off the screen."""
        self._end_bar()


def _bar() -> Progress:
    return Progress(
        TextColumn("  step"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[speed]:,.0f} tokens/s"),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
    )


class StopSignal:
    """Whether Ctrl-C (or SIGTERM) came while steps were taken; at other times it stops at once."""

    def __init__(self, listener: RichListener) -> None:
        self.asked = False
        self._listener = listener

    def __call__(self) -> bool:
        """Whether to stop after this step."""
        return self.asked

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """The signal's handler."""
        if self.asked or self._listener.current not in _STEPS:
            raise KeyboardInterrupt
        self.asked = True
        if process_rank() == 0:
            # not through sys.stderr, in the midst of whose own write the signal may have come
            os.write(2, _STOPPING if process_count() > 1 else _STOPPING_AND_HOW)


@contextmanager
def stop_signal(listener: RichListener) -> Iterator[StopSignal]:
    """While the block runs, the first Ctrl-C or SIGTERM asks for a stop, the second stops at once."""
    stop = StopSignal(listener)
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listener.close()


@contextmanager
def resumable(listener: RichListener, *, again: bool = False) -> Iterator[StopSignal]:
    """As `stop_signal`; where the block was stopped and can go on, say how and exit.

    With --resume, or `again` with the same command as before.
    """
    from tunesmith.training.loop import Interrupted

    try:
        with stop_signal(listener) as stop:
            yield stop
    except Interrupted as stopped:
        show_resume(str(stopped), again=again)
        raise typer.Exit(INTERRUPTED) from None
    except KeyboardInterrupt:
        if listener.current not in (*_STEPS, *_AFTER_STEPS):
            raise
        show_resume("stopped at once", again=again)
        raise typer.Exit(INTERRUPTED) from None
