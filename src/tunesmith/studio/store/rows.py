"""Rows <-> values, and lists by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sqlalchemy import Connection, RowMapping, Select, Table, delete, insert, select

from tunesmith.studio.types import Page

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")

__all__ = ["InUse", "NoRoom", "NoSuchCursor", "Order", "add", "listed", "made", "one", "remove"]

Order = Literal["asc", "desc"]
_TUPLES = ("result_files", "integrations")


class NoSuchCursor(LookupError):  # noqa: N818 (it is told as a Refusal)
    """A list is to go on after something that is not in it."""


class NoRoom(Exception):  # noqa: N818 (it is told as a Refusal)
    """A project has as much as it may have."""


class InUse(Exception):  # noqa: N818 (it is told as a Refusal)
    """Jobs that have not ended need what is to be removed."""

    def __init__(self, jobs: Sequence[str]) -> None:
        super().__init__(*jobs)
        self.jobs = tuple(jobs)


def made(kind: type[Value], row: RowMapping) -> Value:
    """The value that a row holds."""
    values = {each.name: row[each.name] for each in fields(kind)}
    for name in _TUPLES:
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    return kind(**values)


def add(connection: Connection, table: Table, value: DataclassInstance) -> None:
    """Write a new row."""
    values = {each.name: getattr(value, each.name) for each in fields(value)}
    for name in _TUPLES:
        if values.get(name) is not None:
            values[name] = list(values[name])
    connection.execute(insert(table).values(**values))


def one(
    connection: Connection, table: Table, kind: type[Value], *, lock: bool = False, **where: object
) -> Value | None:
    """The only row of which all this is true, None where there is none; nobody else changes a locked one."""
    query = select(table).where(*(table.c[name] == value for name, value in where.items()))
    if lock:
        query = query.with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else made(kind, row)


def remove(connection: Connection, table: Table, **where: object) -> None:
    """Take away all rows of which all this is true."""
    query = delete(table).where(*(table.c[name] == value for name, value in where.items()))
    connection.execute(query)


def listed(
    connection: Connection,
    table: Table,
    kind: type[Value],
    query: Select[Any],
    *,
    after: str | None,
    limit: int,
    order: Order = "desc",
) -> Page[Value]:
    """A page of the rows of `query`, which selects all columns, from what follows the row with id `after` on.

    Raises NoSuchCursor where the query has no such row.
    """
    if after is not None:
        place = connection.execute(query.where(table.c.id == after)).mappings().one_or_none()
        if place is None:
            raise NoSuchCursor(after)
        seq = table.c.seq
        query = query.where(seq < place["seq"] if order == "desc" else seq > place["seq"])
    query = query.order_by(table.c.seq.desc() if order == "desc" else table.c.seq).limit(limit + 1)
    found = [made(kind, row) for row in connection.execute(query).mappings()]
    return Page(tuple(found[:limit]), len(found) > limit)
