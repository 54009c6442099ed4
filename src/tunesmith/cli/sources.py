"""What is trained on or checked: a path, or a query of a database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Dsn", "Sql", "source_from"]

Sql = Annotated[
    str | None,
    typer.Option("--sql", help="Instead of DATA: a query whose rows are read.", show_default=False),
]
Dsn = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        help="The database that is asked, as SQLAlchemy names it; else what TUNESMITH_DSN says.",
        show_default=False,
    ),
]


def source_from(data: Path | None, sql: str | None, dsn: str | None) -> Path:
    """The path that is read; a query of the command line becomes a file of the cache.

    The database's URL goes into the environment, and nowhere else: it may hold a password.
    """
    from tunesmith.data.cache import cache_directory
    from tunesmith.data.formats.sql import DSN, SUFFIX
    from tunesmith.files import sha256_bytes, write_text

    if (data is None) == (sql is None):
        raise typer.BadParameter("name either DATA or --sql")
    if dsn is not None:
        os.environ[DSN] = dsn
    if data is not None:
        return data
    assert sql is not None
    path = cache_directory() / "queries" / f"{sha256_bytes(sql.encode())[:16]}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, sql + "\n")
    return path
