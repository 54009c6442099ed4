"""`tunesmith serve`: a model behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.options import EngineName, EngineOption, MinConfidence, ModelPath

__all__ = ["command"]


@verb("serve")
def command(
    model: ModelPath,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than loopback need a key.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0: any free one.")
    ] = 8000,
    min_confidence: MinConfidence = 0.0,
    engine: EngineOption = EngineName.AUTO,
) -> None:
    """Classify over HTTP: POST /v1/classify, a page to try it at /, metrics at /metrics.

    A key, where one is wanted, stands in the environment variable TUNESMITH_API_KEY.

    Example: [bold]tunesmith serve runs/news --port 8080[/]
    """
    from tunesmith.api.server import serve_model

    serve_model(model, host=host, port=port, min_confidence=min_confidence, engine=engine.value)
