"""`tunesmith serve`: models behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.options import MinConfidence

__all__ = ["command"]


@verb("serve")
def command(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Runs, or their model directories; each is called as its run is, and the first answers who "
            "names none.",
            metavar="MODEL",
            readable=False,
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A model under a name of your own; repeat.", metavar="NAME=PATH", show_default=False
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than loopback need a key.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0: any free one.")
    ] = 8000,
    min_confidence: MinConfidence = 0.0,
    model_root: Annotated[
        Path | None,
        typer.Option(
            help="Let callers load and unload the models below this directory while the server runs.",
            show_default=False,
            readable=False,
        ),
    ] = None,
) -> None:
    """Classify over HTTP: POST /v1/classify, a page to try it at /, metrics at /metrics.

    A key, where one is wanted, stands in the environment variable TUNESMITH_API_KEY.

    Example: [bold]tunesmith serve runs/news --port 8080[/]

    Example: [bold]tunesmith serve runs/news runs/sentiment --model old=backup/news[/]
    """
    if not (models or model):
        raise typer.BadParameter("name a model: a run, or its model directory")
    from tunesmith.api.names import named_models
    from tunesmith.api.server import serve_model

    named = named_models(models or (), model or ())
    serve_model(named, host=host, port=port, min_confidence=min_confidence, model_root=model_root)
