"""A query in a file -> the rows that a database answers with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.data.formats.optional import needed
from tunesmith.data.formats.rows import Row, plain_cell, refuse_bad_columns, row_of
from tunesmith.data.problems import refuse
from tunesmith.errors import DataError

__all__ = ["DSN", "SUFFIX", "rows"]

SUFFIX = ".sql"
DSN = "TUNESMITH_DSN"
"""The environment variable with the database's URL, which may hold a password: it is never written down."""
_ROWS_AT_ONCE = 1000


def rows(path: Path) -> Iterator[Row]:
    """The rows of the query in `path`, as a stream, numbered from 1; what it would change is rolled back.

    Raises DataError where no database is named, or where it does not answer.
    """
    sqlalchemy = needed("sqlalchemy", "sqlalchemy", "queries", path)
    query = path.read_text(encoding="utf-8-sig").strip().rstrip(";")
    if not query:
        raise refuse(
            "empty-file", "the file holds no query", path, "write `select text, label from …` into it"
        )
    try:
        engine = sqlalchemy.create_engine(_dsn(path), poolclass=sqlalchemy.pool.NullPool)
        # `%` and `:` belong to the query, and are no parameters
        options = {"yield_per": _ROWS_AT_ONCE, "no_parameters": True}
        with engine.connect().execution_options(**options) as connection:
            found = connection.exec_driver_sql(query)
            if not found.returns_rows:
                raise refuse("sql-failed", "this is no query: it gives no rows", path, "write a select")
            yield from _rows(path, list(found.keys()), found)
            connection.rollback()
    except (sqlalchemy.exc.SQLAlchemyError, ModuleNotFoundError) as error:
        raise _failed(path, error) from None


def _dsn(path: Path) -> str:
    dsn = os.environ.get(DSN, "")
    if not dsn:
        fix = f"name it with --dsn or in {DSN}, such as postgresql+psycopg://user@host/name or sqlite:///news.db"
        raise refuse("no-dsn", "it is not said which database is asked", path, fix)
    return dsn


def _failed(path: Path, error: Exception) -> DataError:
    # the first line is the driver's own; those after it show the statement
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    what = f"the database does not answer the query: {_without_password(reason)}"
    fix = (
        "try the query in the database's own client; a driver may have to be installed (pip install psycopg)"
    )
    return refuse("sql-failed", what, path, fix)


def _without_password(reason: str) -> str:
    from urllib.parse import unquote, urlsplit

    try:
        password = urlsplit(os.environ.get(DSN, "")).password or ""
    except ValueError:
        password = ""
    for secret in filter(None, {password, unquote(password)}):
        reason = reason.replace(secret, "***")
    return reason


def _rows(path: Path, columns: list[str], found: Any) -> Iterator[Row]:
    refuse_bad_columns(columns, str(path))
    for number, values in enumerate(found, 1):
        cells = {name: plain_cell(value) for name, value in zip(columns, values, strict=True)}
        yield row_of(cells, number, str(path))
