"""Serve an application until it is told to stop; what keeps it from starting is one clear error."""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import Problem, ServiceError

if TYPE_CHECKING:
    from ssl import SSLContext

    from fastapi import FastAPI

    from tunesmith.api.settings import Settings
    from tunesmith.api.workers import MakeApp
    from tunesmith.opening import EngineName

    Run = Callable[[socket.socket, Callable[[], None]], None]
    """Answers on a socket, and says when it does."""

__all__ = ["require_extra", "serve", "serve_model"]

_NEEDED = ("fastapi", "prometheus_client", "uvicorn")


def serve_model(
    models: str | Path | Mapping[str, str | Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: Settings | None = None,
    min_confidence: float = 0.0,
    engine: EngineName = "auto",
    workers: int = 1,
    model_root: Path | None = None,
    on_listening: Callable[[str], None] = lambda _url: None,
) -> None:
    """Open a bundle or run and serve it until SIGTERM or SIGINT; or several by name, the default first.

    A text whose likeliest label is less likely than `min_confidence` is given none; `engine` is as
    `open_predictor` has it, and the log says which it is. Models below `model_root`, else below that of the
    settings, may come and go meanwhile. `settings` default to the environment's; `on_listening` hears the
    address once it answers. Raises ServiceError (`port-in-use`, `key-needed`, `bad-address`, …) before a
    model is loaded.

    Several `workers` are processes that answer on one port over one model in memory. They are forked off the
    main thread of this process, which must not have computed anything with torch before.
    """
    require_extra()
    from tunesmith.api.root import check_root
    from tunesmith.api.settings import read_settings
    from tunesmith.api.spool import check_spool
    from tunesmith.api.tls import tls_context

    settings = settings or read_settings(os.environ)
    if model_root is not None:
        settings = settings.model_copy(update={"model_root": model_root})
    if settings.model_root is not None:
        check_root(settings.model_root)
    check_spool(settings.spool)
    if workers > 1 and settings.model_root is not None:
        what = "several workers cannot load models while they run: each would know only its own"
        raise ServiceError(Problem("workers-apart", what, "--workers", "leave --workers or --model-root out"))
    tls = tls_context(settings)
    with _bound(host, port, settings) as listener, _shared_out(workers) as threads:
        # only now: these take seconds, and what is wrong with the port is said before
        from tunesmith.api.logs import start_log

        start_log(settings.log_format)
        make_app = _loaded(models, settings, min_confidence, engine)
        run = _alone(make_app(), tls) if workers == 1 else _several(make_app, workers, threads, settings, tls)
        del make_app  # it holds the models that there are first, and these may go
        _run(run, listener, host, on_listening, settings, secure=tls is not None)


def _loaded(
    models: str | Path | Mapping[str, str | Path],
    settings: Settings,
    min_confidence: float,
    engine: EngineName,
) -> partial[FastAPI]:
    """Load the models, and return what makes an app of them."""
    from tunesmith.api.app import create_app
    from tunesmith.api.loading import Loader

    named = models if isinstance(models, Mapping) else {None: models}
    several = len(named) > 1 or settings.model_root is not None
    loader = Loader(min_confidence, engine, several=several)
    first, *others = [loader.load(path, name) for name, path in named.items()]
    return partial(
        create_app,
        first.answers,
        settings,
        about=dict(first.about),
        task=first.task,
        explain=first.explain,
        report=first.report,
        others=others,
        load=loader.load,
        bytes_of=loader.bytes_of,
    )


def serve(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    on_listening: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve what `create_app` made until SIGTERM or SIGINT; raises ServiceError as `serve_model` does."""
    from tunesmith.api.tls import tls_context

    settings = app.state.context.settings
    tls = tls_context(settings)
    with _bound(host, port, settings) as listener:
        _run(_alone(app, tls), listener, host, on_listening, settings, secure=tls is not None)


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
    from tunesmith.api.keyring import Keyring

    # the file of keys is read wherever the server listens: what is wrong with it is told now
    if Keyring(settings).empty and not is_loopback(address):
        what = "anyone who reaches this address could use the model: beyond loopback a key is needed"
        fix = "set TUNESMITH_API_KEY, add a key to the file of --keys, or listen on 127.0.0.1"
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


def _run(
    run: Run,
    listener: socket.socket,
    host: str,
    on_listening: Callable[[str], None],
    settings: Settings,
    *,
    secure: bool,
) -> None:
    from tunesmith.api.crashes import leave_no_text
    from tunesmith.api.exchange import log_event
    from tunesmith.api.logs import start_log
    from tunesmith.api.runner import BACKLOG

    port = listener.getsockname()[1]
    # two servers may have bound the port while both loaded a model; only one can listen
    with _start_errors(f"{host}:{port}"):
        listener.listen(BACKLOG)
    start_log(settings.log_format)
    leave_no_text()
    url = f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"

    def listening() -> None:
        log_event(f"listening on {url}", "listening", {"url": url})
        on_listening(url)

    with _heap_at_rest():
        run(listener, listening)


@contextmanager
def _heap_at_rest() -> Iterator[None]:
    """Keep the collector of garbage away from all that has been made so far: models, torch, the app.

    To look through it would hold every answer back for some tenths of a second, now and then; and where
    several processes share it, it would write into what is shared.
    """
    ours = not gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()


def _alone(app: FastAPI, tls: SSLContext | None) -> Run:
    """Answer in this process."""
    from tunesmith.api.runner import Server

    return lambda listener, listening: Server(app, listening, tls).run([listener])


def _several(
    make_app: MakeApp, workers: int, threads: int, settings: Settings, tls: SSLContext | None
) -> Run:
    """Answer in several processes, each with so many threads."""
    from tunesmith.api.workers import serve_workers

    return lambda listener, listening: serve_workers(
        make_app,
        workers,
        threads=threads,
        listener=listener,
        tls=tls,
        settings=settings,
        on_started=listening,
    )


@contextmanager
def _shared_out(workers: int) -> Iterator[int]:
    """The threads that each worker may have; a process that will be forked computes with one meanwhile."""
    if workers == 1:
        yield 0
        return
    if not hasattr(os, "fork") or not hasattr(signal, "sigtimedwait"):
        what = "several workers need a system on which a process can be forked, such as Linux"
        raise ServiceError(Problem("workers-unavailable", what, "--workers", "leave --workers out"))
    from tunesmith.api.workers import threads_for

    with threads_for(workers) as threads:
        yield threads
