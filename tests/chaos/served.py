"""A studio that is served, by this process or by one that may be killed, and a client that never gives up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.listening import listening
from tests.studio import WARM, Studio, new_studio
from tunesmith.api.logs import start_log
from tunesmith.api.settings import Settings
from tunesmith.studio.app import create_studio
from tunesmith.studio.serving import serve_studio

__all__ = ["METHOD", "Persistent", "new_small_studio", "process_serving", "served"]

METHOD = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": 2}}}
"""Of a job of a few steps"""


class Persistent(OpenAI):
    """The official client, which sends a request again as often as it takes, and soon."""

    def __init__(self, url: str, **options: Any) -> None:
        values: dict[str, Any] = {"max_retries": 300, "timeout": 20, **options}
        super().__init__(base_url=f"{url}/v1", api_key="none", _strict_response_validation=True, **values)

    def _calculate_retry_timeout(self, *_args: Any, **_options: Any) -> float:
        return 0.1


def new_small_studio(directory: Path, base: Path, **config: Any) -> Studio:
    """A studio whose database is where its server looks for it."""
    return new_studio(f"sqlite:///{directory}/studio.db", directory, base, free_bytes=0, **config)


@contextmanager
def served(studio: Studio) -> Iterator[str]:
    """Serve it from this process while the block runs, and give its address."""
    app = create_studio(studio.store, studio.place.blobs, studio.config, Settings())
    with listening(app) as url:
        yield url


def process_serving(studio: Studio, port: int) -> ForkServerProcess:
    """Serve it from a process of its own, whose log is `server.log`; workers are others."""
    made = WARM.Process(target=_serve, args=(studio.directory, port), daemon=True)
    made.start()
    return made


def _serve(directory: Path, port: int) -> None:
    log = os.open(directory / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    start_log("text")
    serve_studio(directory, port=port, settings=Settings(), start_workers=lambda *_: nullcontext())
