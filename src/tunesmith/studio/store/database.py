"""One database: SQLite in one file, or PostgreSQL where several machines share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from tunesmith.errors import Problem, StorageError
from tunesmith.sqlite import ALONE, begin_with
from tunesmith.studio.store.tables import METADATA, VERSION, about

__all__ = ["Database"]

_BUSY_MS = 30_000
_SQLITE = "sqlite"
_POSTGRESQL = "postgresql"
# a worker that is frozen while it writes must not keep its job from the others for ever
_POSTGRESQL_OPTIONS: Mapping[str, Any] = {
    "pool_pre_ping": True,
    "connect_args": {"options": "-c idle_in_transaction_session_timeout=60s"},
}


class Database:
    """Transactions, and the time that all who use the database agree on.

    `url` is one of SQLAlchemy's, `sqlite:///studio.db` or `postgresql+psycopg://…`. Its tables are made where
    there are none. `clock` is for tests; left out, it is this machine's for SQLite and the database's own for
    PostgreSQL, since workers' clocks may differ. Raises StorageError.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None) -> None:
        self._engine = _engine(url)
        self._clock = clock or (time.time if self.is_sqlite else None)
        try:
            with _told(url):
                self._prepare()
        except BaseException:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Whether it is one file on this machine."""
        return self._engine.dialect.name == _SQLITE

    @property
    def url(self) -> str:
        """Its address, without the password."""
        return self._engine.url.render_as_string()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may change something; all of it happens, or nothing where the block raises."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(tunesmith_reads=True)
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction all of whose queries see the state of its first one, while others write."""
        with _told(self.url), self._engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execution_options(tunesmith_reads=True)
            yield connection

    @contextmanager
    def all_alone(self) -> Iterator[Connection]:
        """A transaction that writes, and beside which nobody else does."""
        with _told(self.url), self.writing() as connection:
            if not self.is_sqlite:
                names = ", ".join(METADATA.tables)
                connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
            yield connection

    def alone(self, connection: Connection, project: str) -> None:
        """Wait until nobody else adds to a project, and keep others from it while the transaction lasts.

        SQLite has one writer at a time anyway.
        """
        if not self.is_sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(project))))

    def now(self, connection: Connection) -> float:
        """Seconds since 1970."""
        if self._clock is not None:
            return self._clock()
        # that of the transaction would stand still while it waits for a lock
        return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _prepare(self) -> None:
        with self.writing() as connection:
            if not self.is_sqlite:
                # two that start at once must not both make the tables
                connection.execute(select(func.pg_advisory_xact_lock(VERSION)))
            METADATA.create_all(connection)
            found = connection.execute(select(about.c.value).where(about.c.name == "version")).scalar()
            if found is None:
                connection.execute(insert(about).values(name="version", value=str(VERSION)))
            elif found != str(VERSION):
                raise StorageError(_other_version(self.url, found))


def _engine(url: str) -> Engine:
    try:
        name = make_url(url).get_backend_name()
        if name not in (_SQLITE, _POSTGRESQL):
            raise StorageError(_bad_url(url, f"{name} is not known here"))
        options = _POSTGRESQL_OPTIONS if name == _POSTGRESQL else {}
        # an error that is told would otherwise tell what was to be written: names, metadata, hashes
        engine = create_engine(url, hide_parameters=True, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(_bad_url(url, "this is no address of a database")) from error
    except ModuleNotFoundError as error:
        what = f"the driver of this database is not installed: {error.name}"
        fix = "install it: pip install 'tunesmith[postgres]'"
        raise StorageError(Problem("store-extra", what, "--store", fix)) from error
    if name == _SQLITE:
        _set_up_sqlite(engine)
    return engine


def _set_up_sqlite(engine: Engine) -> None:
    """WAL, every commit flushed to disk, and one writer at a time from its first statement on."""

    begin_with(engine, lambda connection: "BEGIN" if _only_reads(connection) else ALONE)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_MS}",
        ):
            connection.execute(f"PRAGMA {pragma}")


def _only_reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("tunesmith_reads"))


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise StorageError(_bad_url(url, _reason(error))) from error


def _reason(error: DBAPIError) -> str:
    """The first line of what the driver says: the rest may repeat the address."""
    return str(error.orig).strip().splitlines()[0] if error.orig else "it does not answer"


def _bad_url(url: str, reason: str) -> Problem:
    fix = "name a database that answers: sqlite:////path/studio.db or postgresql+psycopg://user@host/name"
    return Problem("bad-store", f"the database cannot be used: {reason}", _without_password(url), fix)


def _other_version(url: str, found: str) -> Problem:
    what = f"the database was made by another version of tunesmith (its tables are of version {found})"
    fix = f"use a tunesmith whose tables are of version {found}, or another place"
    return Problem("other-store-version", what, url, fix)


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "--store"
