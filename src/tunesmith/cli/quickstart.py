"""`tunesmith quickstart`: all six steps on the demo data, in minutes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tunesmith.cli.boundary import INTERRUPTED, error_console, verb
from tunesmith.cli.output import console, show_run
from tunesmith.cli.progress import RichListener, stop_signal

if TYPE_CHECKING:
    from tunesmith.run import Run

__all__ = ["SENTENCES", "command"]

# all that is shown must come within minutes, on two slow cores as well
_RIVAL_SECONDS = 40
SENTENCES = (
    "The minister was booed at the cup final after cutting the budget for school pitches.",
    "Her second album topped the charts a week after the sold-out concert.",
)


@verb("quickstart")
def command(
    out: Annotated[
        Path,
        typer.Option(help="Where the run goes; an earlier quickstart there is replaced.", readable=False),
    ] = Path("runs/quickstart"),
) -> None:
    """Fine-tune the embedded GPT on the demo news, prove it, classify two sentences: minutes on two cores.

    Example: [bold]tunesmith quickstart[/]
    """
    from tunesmith.training.loop import Interrupted

    error_console.print(
        "1,350 invented news items in three classes; about half borrow the words of another class.\n"
        "Fine-tuning the embedded GPT on 810 of them, choosing on 135, judging on the other 405."
    )
    listener = RichListener()
    try:
        run = _train(out, listener)
    except Interrupted:
        error_console.print("[bold]stopped; start again with:[/]\n  tunesmith quickstart")
        raise typer.Exit(INTERRUPTED) from None
    show_run(run)
    _classify(run)


def _train(out: Path, listener: RichListener) -> Run:
    from tunesmith.pipeline import train
    from tunesmith.recipe import Recipe

    demo = Path(str(files("tunesmith") / "demo"))
    with stop_signal(listener) as stop:
        return train(
            demo / "train.jsonl",
            validation=demo / "validation.jsonl",
            test=demo / "test.jsonl",
            recipe=Recipe(rival_seconds=_RIVAL_SECONDS),
            out=out,
            overwrite=_is_own(out),
            listener=listener,
            should_stop=stop,
        )


def _is_own(out: Path) -> bool:
    """An earlier quickstart may be replaced; anything else of the user's may not."""
    return (out / "run.json").is_file() and "demo/train.jsonl" in (out / "run.json").read_text("utf-8")


def _classify(run: Run) -> None:
    model = run.load()
    console.print()
    for text, prediction in zip(SENTENCES, model.predict(SENTENCES), strict=True):
        label = escape(prediction.labels[0])
        console.print(f"  {escape(text)}\n  → [bold]{label}[/]  {prediction.score:.2f}")
    console.print("\n  Your own data: [bold]tunesmith train news.csv --out runs/news[/]")
