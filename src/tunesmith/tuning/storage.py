"""Where a study is kept: a file of SQLite, or any database that Optuna reaches by a URL."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ConfigError, Problem, StorageError
from tunesmith.sqlite import ALONE, begin_with

if TYPE_CHECKING:
    import optuna

__all__ = ["file_url", "open_storage", "quiet_optuna", "refuse_without_optuna", "without_password"]

# another machine's trial counts as cut once it has not been heard of for so long
_HEARTBEAT_SECONDS, _GRACE_SECONDS = 20, 120
_OPENING_TRIES, _OPENING_SECONDS = 20, 0.25
# several processes wait for each other's writes
_BUSY_SECONDS = 60


def refuse_without_optuna(find: Callable[[str], Any] = find_spec) -> None:
    """Raise ConfigError where the extra is not installed."""
    if find("optuna") is None:
        fix = "install it: pip install 'tunesmith[tune]'"
        what = "a search needs Optuna, which this Python lacks"
        raise ConfigError(Problem("tune-extra", what, "this Python", fix))


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """While the block runs, Optuna says only what is an error: people hear of trials from us."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # heartbeats are called experimental since 2.9, and there is no other sign of life
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def file_url(path: Path) -> str:
    """The URL of a file of SQLite, whatever characters its path has."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path.absolute())).render_as_string(hide_password=False)


def without_password(url: str) -> str:
    """The URL as it may be shown; raise ConfigError where it is none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        fix = "write it as SQLAlchemy does: sqlite:///study.db, postgresql://user@host/database, …"
        # it may hold a password all the same
        raise ConfigError(Problem("bad-storage", "this is no URL of a database", "--storage", fix)) from None


@contextmanager
def open_storage(url: str) -> Iterator[optuna.storages.BaseStorage]:
    """Give the storage; what goes wrong with it while the block runs is a StorageError."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    where = without_password(url)
    try:
        yield _opened_beside_others(url)
    except (SQLAlchemyError, StorageInternalError) as error:
        raise _told_by_storage(_reason(error), where) from None


def _opened_beside_others(url: str) -> optuna.storages.BaseStorage:
    """Open it; where other processes make its tables just now, once they are made."""
    from sqlalchemy.exc import DBAPIError

    for _ in range(_OPENING_TRIES - 1):
        try:
            return _opened(url)
        except DBAPIError as error:
            if not _is_being_made(error):
                raise
            time.sleep(_OPENING_SECONDS)
    return _opened(url)


def _is_being_made(error: Exception) -> bool:
    from sqlalchemy.exc import IntegrityError

    return isinstance(error, IntegrityError) or any(
        word in str(error) for word in ("already exists", "locked")
    )


def _opened(url: str) -> optuna.storages.BaseStorage:
    import optuna

    waiting = {"connect_args": {"timeout": _BUSY_SECONDS}} if url.startswith("sqlite") else {}
    try:
        storage = optuna.storages.RDBStorage(
            url,
            engine_kwargs=waiting,
            heartbeat_interval=_HEARTBEAT_SECONDS,
            grace_period=_GRACE_SECONDS,
        )
    except ImportError as error:
        fix = "install the driver that the URL names, such as: pip install psycopg2-binary or pymysql"
        lacking = f"the driver of this database is not installed ({error})"
        raise StorageError(Problem("bad-storage", lacking, without_password(url), fix)) from None
    except RuntimeError as error:
        # of another version of Optuna
        raise _told_by_storage(_reason(error), without_password(url)) from None
    if waiting:
        # no two processes may read at once that a trial waits, and both take it
        begin_with(storage.engine, lambda _: ALONE)
        storage.engine.dispose()
    return storage


def _told_by_storage(reason: str, where: str) -> StorageError:
    fix = "check the URL, and that the database can be reached and written; or leave --storage out"
    return StorageError(Problem("bad-storage", f"the storage of the study refused: {reason}", where, fix))


def _reason(error: BaseException) -> str:
    """The first line of what the database itself said."""
    cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
    return next(iter(str(cause).splitlines()), "") or type(cause).__name__
