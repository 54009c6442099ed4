"""All rows at once, taken out and put in: for backups, and for the way from one database to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.exc import StatementError

from tunesmith.errors import Problem, StorageError
from tunesmith.studio.store.database import Database
from tunesmith.studio.store.tables import METADATA, about
from tunesmith.studio.types import ENDED

__all__ = ["TABLES", "AllRows", "Row", "Snapshot"]

Row = Mapping[str, Any]
"""The columns of a row, by name: numbers, texts, None, and what JSON holds."""

TABLES: Mapping[str, Table] = {table.name: table for table in METADATA.sorted_tables if table is not about}
"""The tables whose rows belong to projects; what others refer to comes first."""

_AT_ONCE = 1000


class Snapshot:
    """The rows of one moment."""

    def __init__(self, connection: Connection, now: float) -> None:
        self._connection = connection
        self.now = now
        """When that was, in seconds since 1970"""

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of a table in the order in which they came, read as they are taken."""
        query = select(TABLES[table]).order_by(TABLES[table].c.seq).execution_options(yield_per=_AT_ONCE)
        yield from (dict(row) for row in self._connection.execute(query).mappings())


class AllRows:
    """Takes all rows out of the database, and puts all into one that is empty."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The rows of one moment, whatever is written meanwhile. Raises StorageError."""
        with self._database.snapshot() as connection:
            yield Snapshot(connection, self._database.now(connection))

    def check_empty(self) -> None:
        """Raise StorageError `store-not-empty` where there is a row."""
        with self._database.snapshot() as connection:
            self._check_empty(connection)

    def fill(self, rows: Mapping[str, Iterable[Row]]) -> None:
        """Put in all rows of all tables, or none; nobody holds a job, and who did is refused.

        Raises StorageError: `store-not-empty`, or `backup-damaged` where rows do not belong together.
        """
        try:
            with self._database.all_alone() as connection:
                self._check_empty(connection)
                for name, table in TABLES.items():
                    _insert(connection, table, map(_released, rows[name]) if name == "jobs" else rows[name])
                    self._count_on(connection, table)
        except StatementError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            what = f"the database takes no such rows: {reason}"
            fix = "make another backup, or take an older one"
            raise StorageError(Problem("backup-damaged", what, self._database.url, fix)) from error

    def _check_empty(self, connection: Connection) -> None:
        full = [
            name for name, table in TABLES.items() if connection.execute(select(table.c.seq).limit(1)).first()
        ]
        if full:
            what = f"the database holds something already: {', '.join(full)}"
            fix = "name another `store` in studio.yaml, or a directory without a studio"
            raise StorageError(Problem("store-not-empty", what, self._database.url, fix))

    def _count_on(self, connection: Connection, table: Table) -> None:
        """PostgreSQL counts on its own, whatever numbers rows were given; SQLite by the largest of them."""
        if not self._database.is_sqlite:
            largest = select(func.max(table.c.seq)).scalar_subquery()
            counter = func.pg_get_serial_sequence(table.name, "seq")
            there = select(func.setval(counter, func.coalesce(largest, 1), largest.is_not(None)))
            connection.execute(there)


def _insert(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    coming = iter(rows)
    while some := [dict(row) for row in islice(coming, _AT_ONCE)]:
        connection.execute(insert(table), some)


def _released(job: Row) -> Row:
    """A job that nobody holds; whoever believes to hold it is refused."""
    fence = job["fence"] if job["status"] in ENDED else job["fence"] + 1
    return {**job, "lease_owner": None, "lease_until": None, "fence": fence}
