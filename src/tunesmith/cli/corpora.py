"""What `pretrain` and `adapt` are given: corpora with their shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.boundary import error_console
from tunesmith.cli.output import print_json

if TYPE_CHECKING:
    from tunesmith.pretraining.corpus import Part

__all__ = ["BatchTokens", "PrecisionName", "TextColumnOfCorpus", "part_of", "say_written"]


class PrecisionName(StrEnum):
    """The number formats that a base is taught in."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


BatchTokens = Annotated[int, typer.Option("--batch-tokens", min=1, help="Tokens a step.")]
TextColumnOfCorpus = Annotated[
    str | None, typer.Option("--text-column", help="Of tables: the column that holds the texts.")
]


def say_written(facts: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    """Say where a base lies, or all that is known of it."""
    if as_json:
        print_json(facts)
    error_console.print(f"  wrote {out}: use it with --base {out}", markup=False)


def part_of(corpus: str, column: str | None = None) -> Part:
    """`CORPUS=SHARE` or `CORPUS` -> Part; a file that has an equals sign in its name is that file."""
    from tunesmith.pretraining.corpus import Part

    path, sign, share = corpus.rpartition("=")
    if not sign or Path(corpus).exists():
        return Part(Path(corpus), 1.0, column)
    try:
        weight = float(share)
    except ValueError:
        weight = 0.0
    if not 0 < weight < math.inf:
        raise typer.BadParameter(f"the share in {corpus!r} is to be a number over 0")
    return Part(Path(path), weight, column)
