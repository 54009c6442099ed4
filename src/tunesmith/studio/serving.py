"""Serve a studio until it is told to stop; what keeps it from starting is one clear error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.api.server import require_extra, serve
from tunesmith.errors import Problem, ServiceError
from tunesmith.files import storage_errors
from tunesmith.studio.blobs import blobs_at
from tunesmith.studio.config import StudioConfig, config_in

if TYPE_CHECKING:
    from tunesmith.api.settings import Settings
    from tunesmith.studio.store import Store

__all__ = ["Setup", "StartWorkers", "require_studio", "serve_studio", "workers_here"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a studio is set up with, as its workers need to know it."""

    directory: Path
    config: StudioConfig
    config_file: Path | None
    """Where the config stands; None: nowhere"""

    @property
    def store_url(self) -> str:
        """Where the database is."""
        return self.config.store or f"sqlite:///{(self.directory / 'studio.db').absolute()}"

    @property
    def blobs(self) -> str:
        """Where files and models lie."""
        return self.config.blobs or str(self.directory / "blobs")


StartWorkers = Callable[[Setup, "Store"], AbstractContextManager[object]]
"""What trains the jobs of a studio on this machine, while the context is open."""

_NEEDED = ("python_multipart", "sqlalchemy")


@contextmanager
def workers_here(setup: Setup, store: Store) -> Iterator[None]:
    """As many workers as the config says, processes of this machine that share it."""
    from tunesmith.studio.supervise import Workers, cores_here, gpus_here, shares, worker_command

    workers = Workers(
        worker_command(setup.blobs, setup.directory, setup.config_file),
        {"TUNESMITH_STORE": setup.store_url},
        shares(setup.config.workers, cores_here(), gpus_here()),
        store,
    )
    workers.start()
    try:
        yield
    finally:
        workers.stop()


def serve_studio(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: Settings,
    config_file: Path | None = None,
    start_workers: StartWorkers = workers_here,
    on_listening: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve the studio in `directory`, which is made where it is missing, until SIGTERM or SIGINT.

    The config stands in `config_file`, else in the studio's own studio.yaml, where there is one. Workers are
    started once the port is ours, and end after the last request.

    Raises ServiceError, ConfigError or StorageError.
    """
    require_studio()
    from tunesmith.studio.app import create_studio
    from tunesmith.studio.store import Store

    setup = Setup(directory, *config_in(directory, config_file))
    config = setup.config
    with storage_errors(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    blobs = blobs_at(setup.blobs, directory / "cache")
    store = Store(setup.store_url, lease_seconds=config.lease_seconds, max_attempts=config.max_attempts)
    with closing(store), ExitStack() as workers:

        def listening(url: str) -> None:
            if config.workers:
                workers.enter_context(start_workers(setup, store))
            on_listening(url)

        serve(create_studio(store, blobs, config, settings), host, port, on_listening=listening)


def require_studio() -> None:
    """Raise ServiceError where a package that the studio needs is not installed."""
    require_extra()
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        what = f"the studio needs packages that are not installed: {', '.join(missing)}"
        fix = "install them: pip install 'tunesmith[studio]'"
        raise ServiceError(Problem("studio-extra", what, "this Python", fix))
