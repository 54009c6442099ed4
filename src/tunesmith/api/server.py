"""Serve an application until it is told to stop; what keeps it from starting is one clear error."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import Problem, ServiceError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tunesmith.api.settings import Settings

__all__ = ["require_extra", "serve", "serve_model"]

_NEEDED = ("fastapi", "prometheus_client", "uvicorn")
_BACKLOG = 2048
_LOGGERS = {"tunesmith.api": logging.INFO, "uvicorn.error": logging.WARNING}


def serve_model(
    models: str | Path | Mapping[str, str | Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: Settings | None = None,
    min_confidence: float = 0.0,
    model_root: Path | None = None,
    on_listening: Callable[[str], None] = lambda _url: None,
) -> None:
    """Open a bundle or run and serve it until SIGTERM or SIGINT; or several by name, the default first.

    A text whose likeliest label is less likely than `min_confidence` is given none. Models below
    `model_root`, else below that of the settings, may come and go meanwhile. `settings` default to the
    environment's; `on_listening` hears the address once it answers. Raises ServiceError (`port-in-use`,
    `key-needed`, `bad-address`, …) before a model is loaded.
    """
    require_extra()
    from tunesmith.api.app import create_app
    from tunesmith.api.loading import Loader
    from tunesmith.api.root import check_root
    from tunesmith.api.settings import read_settings
    from tunesmith.api.spool import check_spool

    settings = settings or read_settings(os.environ)
    if model_root is not None:
        settings = settings.model_copy(update={"model_root": model_root})
    if settings.model_root is not None:
        check_root(settings.model_root)
    check_spool(settings.spool)
    with _bound(host, port, settings) as listener:
        # only now: these take seconds, and what is wrong with the port is said before
        loader = Loader(min_confidence)
        named = models if isinstance(models, Mapping) else {None: models}
        first, *others = [loader.load(path, name) for name, path in named.items()]
        app = create_app(
            first.answers,
            settings,
            about=dict(first.about),
            task=first.task,
            others=others,
            load=loader.load,
        )
        _run(app, listener, host, on_listening)


def serve(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    on_listening: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve what `create_app` made until SIGTERM or SIGINT; raises ServiceError as `serve_model` does."""
    with _bound(host, port, app.state.context.settings) as listener:
        _run(app, listener, host, on_listening)


def require_extra() -> None:
    """Raise ServiceError where a package that serving needs is not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        what = f"serving needs packages that are not installed: {', '.join(missing)}"
        raise ServiceError(
            Problem("serve-extra", what, "this Python", "install them: pip install 'tunesmith[serve]'")
        )


@contextmanager
def _bound(host: str, port: int, settings: Settings) -> Iterator[socket.socket]:
    """A socket that holds the port, and does not listen yet."""
    where = f"{host}:{port}"
    with _start_errors(where):
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    _check_exposure(str(address[0]), where, settings)
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _start_errors(where):
            listener.bind(address)
        yield listener


def _check_exposure(address: str, where: str, settings: Settings) -> None:
    from tunesmith.api.guard import is_loopback

    if not is_loopback(address) and settings.api_key is None:
        what = "anyone who reaches this address could use the model: beyond loopback a key is needed"
        fix = "set TUNESMITH_API_KEY, or listen on 127.0.0.1"
        raise ServiceError(Problem("key-needed", what, where, fix))


@contextmanager
def _start_errors(where: str) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise ServiceError(_bad_address(where, "no host has such a name")) from error
    except OSError as error:
        raise ServiceError(_start_problem(where, error)) from error


def _start_problem(where: str, error: OSError) -> Problem:
    match error.errno:
        case errno.EADDRINUSE:
            fix = "stop the other program, or choose another port with --port (0: any free one)"
            return Problem("port-in-use", "another program listens on this port", where, fix)
        case errno.EACCES:
            fix = "choose a port of 1024 or more with --port"
            return Problem("port-forbidden", "this port is kept for the system", where, fix)
        case _:
            return _bad_address(where, error.strerror or str(error))


def _bad_address(where: str, reason: str) -> Problem:
    fix = "name an address of this machine with --host, such as 127.0.0.1"
    return Problem("bad-address", f"this is no address to listen on: {reason}", where, fix)


def _run(app: FastAPI, listener: socket.socket, host: str, on_listening: Callable[[str], None]) -> None:
    from tunesmith.api.exchange import LOGGER
    from tunesmith.api.runner import Server

    port = listener.getsockname()[1]
    # two servers may have bound the port while both loaded a model; only one can listen
    with _start_errors(f"{host}:{port}"):
        listener.listen(_BACKLOG)
    _log_to_stderr()
    url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def listening() -> None:
        LOGGER.info("listening on %s", url)
        on_listening(url)

    Server(app, listening).run([listener])


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in _LOGGERS.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not logger.handlers:
            logger.addHandler(handler)
        logger.propagate = False
