"""Serve a studio until it is told to stop; what keeps it from starting is one clear error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.api.server import require_extra, serve
from tunesmith.config import read_config
from tunesmith.errors import Problem, ServiceError
from tunesmith.files import storage_errors
from tunesmith.studio.blobs import blobs_at
from tunesmith.studio.config import StudioConfig

if TYPE_CHECKING:
    from tunesmith.api.settings import Settings

__all__ = ["StartWorkers", "read_studio_config", "serve_studio", "store_url"]

StartWorkers = Callable[[Path, StudioConfig], AbstractContextManager[object]]
"""A studio's directory and config -> what trains its jobs on this machine, while the context is open."""

_NEEDED = ("python_multipart", "sqlalchemy")


def _no_workers(_directory: Path, _config: StudioConfig) -> AbstractContextManager[object]:
    return nullcontext()


def serve_studio(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: Settings,
    config: StudioConfig | None = None,
    start_workers: StartWorkers = _no_workers,
    on_listening: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve the studio in `directory`, which is made where it is missing, until SIGTERM or SIGINT.

    `config` is that of `read_studio_config`, where it is left out. Workers are started once the port is
    ours, and end after the last request. Raises ServiceError, ConfigError or StorageError.
    """
    _require_extra()
    from tunesmith.studio.app import create_studio
    from tunesmith.studio.store import Store

    config = config or read_studio_config(directory)
    with storage_errors(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    blobs = blobs_at(config.blobs or str(directory / "blobs"), directory / "cache")
    store = Store(
        store_url(directory, config), lease_seconds=config.lease_seconds, max_attempts=config.max_attempts
    )
    with closing(store), ExitStack() as workers:

        def listening(url: str) -> None:
            if config.workers:
                workers.enter_context(start_workers(directory, config))
            on_listening(url)

        serve(create_studio(store, blobs, config, settings), host, port, on_listening=listening)


def read_studio_config(directory: Path, file: Path | None = None) -> StudioConfig:
    """The config in `file`, else in the studio's own studio.yaml, else the defaults; raises ConfigError."""
    own = directory / "studio.yaml"
    if file is None and not own.exists():
        return StudioConfig()
    return read_config(file or own, StudioConfig)


def store_url(directory: Path, config: StudioConfig) -> str:
    """Where the database of a studio is."""
    return config.store or f"sqlite:///{(directory / 'studio.db').absolute()}"


def _require_extra() -> None:
    require_extra()
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        what = f"the studio needs packages that are not installed: {', '.join(missing)}"
        fix = "install them: pip install 'tunesmith[studio]'"
        raise ServiceError(Problem("studio-extra", what, "this Python", fix))
