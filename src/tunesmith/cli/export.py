"""`tunesmith export`: a run -> the same model in another form."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import ModelPath, Overwrite

if TYPE_CHECKING:
    from tunesmith.exporting.export import Exported

__all__ = ["FormName", "command"]


class FormName(StrEnum):
    """The forms as they are typed."""

    ONNX = "onnx"
    INT8 = "onnx-int8"
    TORCH = "torch"
    MERGED = "merged"
    ADAPTER = "adapter"


@verb("export")
def command(
    model: ModelPath,
    to: Annotated[
        FormName,
        typer.Option(
            help="`onnx`, or `onnx-int8` in 8 bits, to serve; `torch` (or `merged`) for transformers alone; "
            "`adapter`, of a LoRA run, to serve many on one base, and for PEFT.",
            metavar="FORM",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where it goes.",
            show_default="exports/FORM in the run",
            readable=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled rows on which answers are compared.",
            show_default="the run's validation rows",
            readable=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the model in another form, and refuse it where it answers otherwise.

    Example: [bold]tunesmith export runs/news --to onnx[/]
    """
    from tunesmith.cli.progress import RichListener
    from tunesmith.exporting.export import export

    made = export(model, to.value, out=out, data=data, overwrite=overwrite, listener=RichListener())
    _show(made)


def _show(made: Exported) -> None:
    from tunesmith.evaluation.wording import size

    parity = made.parity
    told = (
        f"{parity.agreement:.2%} of {parity.rows:,} rows get the same labels; no probability changes by more "
        f"than {parity.largest_change:.2g}; macro-F1 {parity.macro_f1_before:.3f}, now "
        f"{parity.macro_f1_after:.3f}"
    )
    error_console.print(f"  {told}", markup=False)
    sizes = f"{size(made.size_bytes)}, where the model takes {size(made.source_bytes)}"
    error_console.print(f"  wrote {made.path} ({sizes})", markup=False, soft_wrap=True)
