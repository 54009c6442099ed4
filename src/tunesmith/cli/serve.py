"""`tunesmith serve`: models behind HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.options import (
    EngineName,
    EngineOption,
    Host,
    KeysFile,
    MinConfidence,
    Port,
    TlsCert,
    TlsKey,
)

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
    host: Host = "127.0.0.1",
    port: Port = 8000,
    min_confidence: MinConfidence = 0.0,
    engine: EngineOption = EngineName.AUTO,
    keys: KeysFile = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer, over one model in memory.")] = 1,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
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

    Keys, where they are wanted, stand in the file of --keys, or one in TUNESMITH_API_KEY of the environment.

    Example: [bold]tunesmith serve runs/news --port 8080[/]

    Example: [bold]tunesmith serve runs/news runs/sentiment --model old=backup/news[/]
    """
    if not (models or model):
        raise typer.BadParameter("name a model: a run, or its model directory")
    from tunesmith.api.names import named_models
    from tunesmith.api.server import serve_model
    from tunesmith.api.settings import read_settings

    settings = read_settings(os.environ, keys_file=keys, tls_cert=tls_cert, tls_key=tls_key)
    serve_model(
        named_models(models or (), model or ()),
        host=host,
        port=port,
        settings=settings,
        min_confidence=min_confidence,
        engine=engine.value,
        workers=workers,
        model_root=model_root,
    )
