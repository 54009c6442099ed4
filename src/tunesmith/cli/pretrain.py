"""`tunesmith pretrain`: raw text -> a base of one's own."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.corpora import BatchTokens, PrecisionName, TextColumnOfCorpus, part_of, say_written
from tunesmith.cli.options import AsJson, Overwrite, Resume
from tunesmith.cli.progress import RichListener, resumable

__all__ = ["ArchitectureName", "OptimizerName", "SizeName", "command"]


class SizeName(StrEnum):
    """Named sizes: layers × width, vocabulary."""

    NANO = "nano"
    MICRO = "micro"
    MINI = "mini"
    SMALL = "small"


class OptimizerName(StrEnum):
    """What takes the steps."""

    MUON = "muon"
    ADAMW = "adamw"


class ArchitectureName(StrEnum):
    """What kind of model is made."""

    GPT2 = "gpt2"
    LLAMA = "llama"


_Dimension = Annotated[int | None, typer.Option(min=1, help="Instead of the size's own.")]


@verb("pretrain")
def command(
    corpora: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS[=SHARE]",
            help="Files of text, a paragraph a line and an empty line between documents; JSON Lines, CSV or "
            "Parquet, a document a row; or directories of such files. Plain, .gz, .xz or .zst. SHARE weighs "
            "them, 1 each if not given.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the base goes.", readable=False)],
    size: Annotated[
        SizeName, typer.Option(help="nano 4x192, micro 4x256, mini 6x384, small 12x768.")
    ] = SizeName.MICRO,
    architecture: Annotated[
        ArchitectureName, typer.Option("--arch", help="The kind of model.")
    ] = ArchitectureName.GPT2,
    layers: _Dimension = None,
    width: _Dimension = None,
    heads: _Dimension = None,
    vocabulary: Annotated[
        int | None, typer.Option(min=258, max=1 << 16, help="Instead of the size's own.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, max=10**11, help="How many tokens to train on.")] = 10_000_000,
    window: Annotated[
        int, typer.Option(min=16, max=1 << 17, help="The most tokens the base can read.")
    ] = 512,
    batch_tokens: BatchTokens = 8192,
    optimizer: Annotated[
        OptimizerName,
        typer.Option(help="muon: its steps for the matrices of the blocks, AdamW's for the rest."),
    ] = OptimizerName.MUON,
    learning_rate: Annotated[float, typer.Option(min=1e-9, max=1.0, help="The peak learning rate.")] = 2e-3,
    precision: Annotated[
        PrecisionName, typer.Option(help="auto: bf16 where the hardware multiplies it, else fp32.")
    ] = PrecisionName.AUTO,
    text_column: TextColumnOfCorpus = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Decides the first weights and the batch order.")
    ] = 0,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train a tokenizer and a GPT on raw text, for `tunesmith train --base`.

    Example: [bold]tunesmith pretrain ours.txt.gz=2 general.txt.zst --out bases/ours[/]
    """
    from tunesmith.pretraining.run import PretrainSettings, pretrain
    from tunesmith.pretraining.sizes import SIZES
    from tunesmith.pretraining.teaching import precision_of

    asked = {"layers": layers, "width": width, "heads": heads, "vocabulary": vocabulary}
    dimensions = replace(SIZES[size], **{name: value for name, value in asked.items() if value is not None})
    if dimensions.width % dimensions.heads or dimensions.width // dimensions.heads % 2:
        raise typer.BadParameter("--width is to be an even multiple of --heads")
    settings = PretrainSettings(
        dimensions,
        window,
        tokens,
        batch_tokens,
        learning_rate,
        precision_of(precision),
        seed,
        "llama" if architecture is ArchitectureName.LLAMA else "gpt2",
        "muon" if optimizer is OptimizerName.MUON else "adamw",
    )
    listener = RichListener()
    with resumable(listener) as stop:
        facts = pretrain(
            [part_of(corpus, text_column) for corpus in corpora],
            out,
            settings,
            overwrite=overwrite,
            resume=resume,
            listener=listener,
            should_stop=stop,
        )
    say_written(facts, out, as_json=as_json)
