"""`tunesmith adapt`: a base goes on reading, in the language of a domain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.corpora import BatchTokens, PrecisionName, TextColumnOfCorpus, part_of, say_written
from tunesmith.cli.options import AsJson, Overwrite, Resume
from tunesmith.cli.progress import RichListener, resumable

__all__ = ["command"]

_GENERAL_SHARE = 0.2


@verb("adapt")
def command(
    base: Annotated[str, typer.Argument(help="A directory, a hub name, or `embedded`.")],
    corpora: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS[=TIMES]",
            help="Your text without labels, in the formats that `pretrain` reads; TIMES: how often it is "
            "read in each epoch.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the adapted base goes.", readable=False)],
    epochs: Annotated[float, typer.Option(min=0.001, max=1000, help="How often the text is read.")] = 1.0,
    general: Annotated[
        list[str] | None,
        typer.Option(metavar="CORPUS[=SHARE]", help="General text against forgetting; may be repeated."),
    ] = None,
    general_share: Annotated[
        float, typer.Option(min=0.0, max=0.95, help="Its share of all tokens.")
    ] = _GENERAL_SHARE,
    window: Annotated[
        int | None, typer.Option(min=16, help="Tokens read at once; if not given, the base's, 1,024 at most.")
    ] = None,
    batch_tokens: BatchTokens = 8192,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-9, max=1.0, help="The peak; if not given, by the base's size.")
    ] = None,
    precision: Annotated[
        PrecisionName, typer.Option(help="auto: bf16 where the hardware multiplies it, else fp32.")
    ] = PrecisionName.AUTO,
    revision: Annotated[str | None, typer.Option(help="The commit, tag or branch of a hub base.")] = None,
    text_column: TextColumnOfCorpus = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Decides the batch order.")] = 0,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Let a base read your own text, without labels, before it is fine-tuned.

    Example: [bold]tunesmith adapt embedded tickets.txt --out bases/tickets[/]
    """
    from tunesmith.pretraining.adapt import AdaptSettings, adapt
    from tunesmith.pretraining.teaching import precision_of

    settings = AdaptSettings(
        precision_of(precision),
        epochs,
        general_share if general else 0.0,
        window,
        batch_tokens,
        learning_rate,
        seed,
        revision,
    )
    listener = RichListener()
    with resumable(listener) as stop:
        facts = adapt(
            base,
            [part_of(corpus, text_column) for corpus in corpora],
            out,
            settings,
            general=[part_of(corpus, text_column) for corpus in general or ()],
            overwrite=overwrite,
            resume=resume,
            listener=listener,
            should_stop=stop,
        )
    say_written(facts, out, as_json=as_json)
