"""`tunesmith label`: a file of texts -> labels that a person gave, at the terminal or on a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.progress import Progress
from rich.text import Text

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import TextColumn

if TYPE_CHECKING:
    from tunesmith.labelling.order import Floats
    from tunesmith.labelling.session import Asked, Session
    from tunesmith.labelling.texts import Texts
    from tunesmith.predict import Predictor

__all__ = ["command"]

_WIDEST = 100
_READ_AT_ONCE = 512


@verb("label")
def command(
    data: Annotated[
        Path,
        typer.Argument(
            help="Texts: CSV, TSV, JSONL, JSON, Parquet, Excel, text, …", readable=False, show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The JSONL file of the answers; what stands there is gone on with.",
            readable=False,
            show_default=False,
        ),
    ],
    labels: Annotated[
        str | None,
        typer.Option(help="The labels, parted by commas.", show_default="those of --model"),
    ] = None,
    text_column: TextColumn = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="A run, or its model directory: what it doubts is asked first.",
            readable=False,
            show_default=False,
        ),
    ] = None,
    multi: Annotated[bool, typer.Option("--multi", help="A text may have several labels, or none.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Ask on a page in the browser, on 127.0.0.1.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the page; 0: any free one.")
    ] = 8001,
    seed: Annotated[int, typer.Option(min=0, help="Decides between texts that are as useful.")] = 0,
) -> None:
    """Label texts by hand, the most useful first; each answer is kept at once.

    Example: [bold]tunesmith label texts.csv --labels politics,sports --out labelled.jsonl[/]

    Example: [bold]tunesmith label texts.csv --model runs/news --page --out labelled.jsonl[/]
    """
    if labels is None and model is None:
        raise typer.BadParameter("name the labels, as in --labels yes,no, or a --model that has some")
    from tunesmith.labelling.journal import open_journal
    from tunesmith.labelling.session import Session
    from tunesmith.labelling.texts import read_texts

    if page:
        _require_extra()
    given = None if labels is None else _names(labels)
    predictor = None if model is None else _predictor(model)
    names = given or (predictor.labels if predictor else ())
    texts = read_texts(data, text_column)
    _refuse_same(data, out)
    with open_journal(out, names, several=multi) as journal:
        _note(*texts.notes, *journal.notes)
        doubts = None if predictor is None else _doubts(predictor, texts)
        session = Session(texts, journal, doubts=doubts, seed=seed)
        if session.strangers:
            _note(f"answers in {out} to texts that do not stand in {data}: {session.strangers:,}")
        if page:
            _on_a_page(session, names, multi, port)
        else:
            _at_the_terminal(session, names, multi)
        _tell_the_end(session, out)


def _require_extra() -> None:
    from tunesmith.api.server import require_extra

    require_extra()


def _names(labels: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in labels.split(","))
    if not all(names) or len(set(names)) < max(2, len(names)):
        raise typer.BadParameter("--labels takes two or more different names, such as --labels yes,no")
    return names


def _predictor(model: Path) -> Predictor:
    from tunesmith.opening import load

    return load(model)


def _refuse_same(data: Path, out: Path) -> None:
    if out.exists() and data.exists() and out.samefile(data):
        raise typer.BadParameter("--out must be another file than the texts")


def _doubts(predictor: Predictor, texts: Texts) -> Floats:
    import numpy as np

    from tunesmith.labelling.order import doubts
    from tunesmith.predict import in_chunks

    parts = []
    with Progress(console=error_console, transient=True) as bar:
        task = bar.add_task("  the model reads the texts", total=len(texts))
        for chunk in in_chunks(texts.texts, _READ_AT_ONCE):
            parts.append(predictor.probabilities(predictor.encode(chunk)))
            bar.advance(task, len(chunk))
    return doubts(np.concatenate(parts), several=predictor.classifier.multi_label)


def _note(*notes: str) -> None:
    for note in notes:
        error_console.print(f"  {note}", markup=False)


def _at_the_terminal(session: Session, labels: Sequence[str], several: bool) -> None:
    from tunesmith.labelling.terminal import ask_all

    ask_all(session, labels, sys.stdin, _Screen(labels, several), several=several)


class _Screen:
    """Shows texts on standard error."""

    def __init__(self, labels: Sequence[str], several: bool) -> None:
        keys = [f"[bold]{number}[/] {escape(label)}" for number, label in enumerate(labels, 1)]
        keys += ["[bold]0[/] none"] if several else []
        self._keys = "   ".join(keys)
        self._how = "several: 1 3" if several else ""

    def text(self, asked: Asked) -> None:
        """The text, and what may be typed."""
        width = min(_WIDEST, error_console.width)
        error_console.rule(characters="─", style="dim")
        done = f"{asked.labelled:,} labelled, {asked.left:,} left"
        error_console.print(f"[dim]{done} · {escape(asked.where)}[/]")
        shown = Text(_harmless(asked.text))
        error_console.print(Padding(shown, (1, 2)), soft_wrap=False, width=width)
        error_console.print(self._keys, soft_wrap=False, width=width)
        acts = "   ".join(filter(None, [self._how, "s skip", "u undo", "q quit"]))
        error_console.print(f"[dim]{acts}[/]\n> ", end="")

    def end(self, asked: Asked) -> None:
        """That no text is left."""
        skipped = f", {asked.skipped:,} skipped" if asked.skipped else ""
        error_console.rule(characters="─", style="dim")
        error_console.print(
            f"{asked.labelled:,} labelled{skipped}, none left   [dim]u undo   Enter ends[/]\n> ", end=""
        )

    def unclear(self, what: str) -> None:
        """Why what was typed was not understood."""
        error_console.print(f"[yellow]{escape(what)}[/]")


def _harmless(text: str) -> str:
    """The text without what would steer a terminal."""
    return "".join(mark if mark.isprintable() or mark in "\n\t" else "\ufffd" for mark in text)


def _on_a_page(session: Session, labels: Sequence[str], several: bool, port: int) -> None:
    from tunesmith.labelling.page import serve_page

    def tell(url: str) -> None:
        error_console.print(f"[bold]open {url}[/]\n  Ctrl-C ends; what is answered is kept", highlight=False)

    serve_page(session, labels, several=several, port=port, on_listening=tell)


def _tell_the_end(session: Session, out: Path) -> None:
    asked = session.asked
    left = (
        "all texts are labelled"
        if not asked.left + asked.skipped
        else f"{asked.left + asked.skipped:,} are left"
    )
    error_console.print(f"\n{asked.labelled:,} labelled in {out}; {left}", markup=False)
    if asked.labelled:
        error_console.print(f"  learn from them: tunesmith train {out}", markup=False)
