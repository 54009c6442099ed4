"""`tunesmith studio`: fine-tuning behind OpenAI's API, on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb
from tunesmith.cli.options import Host, KeysFile, Port, TlsCert, TlsKey

__all__ = ["command"]


@verb("studio")
def command(
    directory: Annotated[
        Path,
        typer.Argument(
            help="Where files, jobs and models are kept; made where it is missing.",
            metavar="DIR",
            show_default=False,
        ),
    ],
    host: Host = "127.0.0.1",
    port: Port = 8000,
    config: Annotated[
        Path | None,
        typer.Option(
            help="What the studio offers, and its limits.",
            readable=False,
            show_default="DIR/studio.yaml, where there is one",
        ),
    ] = None,
    keys: KeysFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Serve OpenAI's fine-tuning API from a directory: files, jobs and models, all on this machine.

    Any client of that API works when its base URL is http://127.0.0.1:8000/v1. Each key sees the files,
    jobs and models of its project only.

    Example: [bold]tunesmith studio studio --port 8080[/]
    """
    from tunesmith.api.settings import read_settings
    from tunesmith.studio.serving import serve_studio

    settings = read_settings(os.environ, keys_file=keys, tls_cert=tls_cert, tls_key=tls_key)
    serve_studio(directory, host=host, port=port, settings=settings, config_file=config)
