"""`tunesmith worker`: train the jobs of a studio on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.boundary import verb

__all__ = ["command"]


@verb("worker")
def command(
    store: Annotated[
        str,
        typer.Option(
            envvar="TUNESMITH_STORE",
            help="The database of the studio; better in TUNESMITH_STORE, where it holds a password.",
            metavar="URL",
            show_default=False,
            show_envvar=False,
        ),
    ],
    blobs: Annotated[
        str,
        typer.Option(
            help="Where its files and models lie: a directory, or an address of fsspec's.", show_default=False
        ),
    ],
    directory: Annotated[
        Path,
        typer.Option("--dir", help="A directory of this machine to work in.", show_default=False),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            help="The studio.yaml; else the one in --dir, where there is one.",
            readable=False,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Validate and train the jobs of a studio until Ctrl-C or SIGTERM, which lose no more than a step.

    `tunesmith studio` starts workers of its own; this one is for further machines.

    Example: [bold]tunesmith worker --store postgresql+psycopg://me@db/studio --blobs s3://b/s --dir w[/]
    """
    from tunesmith.studio.serving import require_studio

    require_studio()
    from tunesmith.api.logs import start_log
    from tunesmith.api.settings import read_settings
    from tunesmith.studio.config import config_in
    from tunesmith.studio.work.place import OWNER
    from tunesmith.studio.work.worker import opened_place, run_worker

    asked, _ = config_in(directory, config)
    start_log(read_settings(os.environ).log_format)
    # said by whoever started this process as one of several, and holds the other end of its input
    owner = os.environ.get(OWNER)
    run_worker(opened_place(store, blobs, directory, asked, owner), end_with_input=owner is not None)
