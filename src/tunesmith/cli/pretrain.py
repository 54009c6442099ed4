"""`tunesmith pretrain`: raw text -> a base of one's own."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import AsJson, Overwrite
from tunesmith.cli.output import print_json
from tunesmith.cli.progress import RichListener, resumable

if TYPE_CHECKING:
    from tunesmith.pretraining.corpus import Part

__all__ = ["SizeName", "command", "part_of"]


class SizeName(StrEnum):
    """Named sizes of a GPT-2: layers × width, vocabulary."""

    NANO = "nano"
    MICRO = "micro"
    MINI = "mini"
    SMALL = "small"


@verb("pretrain")
def command(
    corpora: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS[=SHARE]",
            help="Text files (plain, .gz, .xz, .zst): a paragraph a line, an empty line between documents; "
            "SHARE weighs them, 1 each if not given.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the base goes.", readable=False)],
    size: Annotated[
        SizeName, typer.Option(help="nano 4x192, micro 4x256, mini 6x384, small 12x768.")
    ] = SizeName.MICRO,
    tokens: Annotated[int, typer.Option(min=1, max=10**11, help="How many tokens to train on.")] = 10_000_000,
    window: Annotated[
        int, typer.Option(min=16, max=1 << 17, help="The most tokens the base can read.")
    ] = 512,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens a step.")] = 8192,
    learning_rate: Annotated[
        float, typer.Option(min=1e-9, max=1.0, help="The peak learning rate of AdamW.")
    ] = 2e-3,
    precision: Annotated[
        str, typer.Option(help="fp32, or bf16 where `tunesmith doctor` says the hardware has it.")
    ] = "fp32",
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Decides the first weights and the batch order.")
    ] = 0,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a tokenizer and a GPT-2 on raw text, for `tunesmith train --base`.

    Example: [bold]tunesmith pretrain ours.txt.gz=2 general.txt.zst --out bases/ours[/]
    """
    from tunesmith.pretraining.run import SIZES, PretrainSettings, pretrain

    if precision not in ("fp32", "bf16"):
        raise typer.BadParameter("--precision is fp32 or bf16")
    settings = PretrainSettings(SIZES[size], window, tokens, batch_tokens, learning_rate, precision, seed)
    listener = RichListener()
    with resumable(listener) as stop:
        facts = pretrain(
            [part_of(corpus) for corpus in corpora],
            out,
            settings,
            overwrite=overwrite,
            resume=resume,
            on_stage=listener.stage,
            on_progress=listener.training,
            on_note=listener.note,
            should_stop=stop,
        )
    if as_json:
        print_json(facts)
    error_console.print(f"  wrote {out}: use it with --base {out}", markup=False)


def part_of(corpus: str) -> Part:
    """`CORPUS=SHARE` or `CORPUS` -> Part; a file that has an equals sign in its name is that file."""
    from tunesmith.pretraining.corpus import Part

    path, sign, share = corpus.rpartition("=")
    if not sign or Path(corpus).exists():
        return Part(Path(corpus), 1.0)
    try:
        weight = float(share)
    except ValueError:
        weight = 0.0
    if not 0 < weight < math.inf:
        raise typer.BadParameter(f"the share in {corpus!r} is to be a number over 0")
    return Part(Path(path), weight)
