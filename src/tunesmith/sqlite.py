"""SQLite by way of SQLAlchemy, with transactions that begin as we say and not as Python's driver would."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["ALONE", "begin_with"]

ALONE = "BEGIN IMMEDIATE"
"""Begins a transaction that alone may write from its first statement on: SQLite has no locks of rows"""


def begin_with(engine: Engine, statement: Callable[[Connection], str]) -> None:
    """Let each transaction begin with a statement; connections that are open already do as before."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # Python's driver would begin transactions by its own rules

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        connection.exec_driver_sql(statement(connection))
