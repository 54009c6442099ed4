"""Rows of a backup: whether they are what the tables hold, line by line, before any is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import BigInteger, Column, Integer, String

from tunesmith.studio.ids import Kind, is_id, is_tuned
from tunesmith.studio.store.all_rows import TABLES, Row
from tunesmith.studio.types import Checkpoint, Event, File, Job, Model, Part, Upload

__all__ = ["parsed_row", "row_fault"]

_VALUES: Mapping[str, tuple[Kind | None, TypeAdapter[Any]]] = {
    "files": ("file", TypeAdapter(File)),
    "uploads": ("upload", TypeAdapter(Upload)),
    "parts": ("part", TypeAdapter(Part)),
    "jobs": ("job", TypeAdapter(Job)),
    "events": ("event", TypeAdapter(Event)),
    "checkpoints": ("checkpoint", TypeAdapter(Checkpoint)),
    "models": (None, TypeAdapter(Model)),
}


def parsed_row(line: bytes) -> Row:
    """The row that a line holds; raises ValueError."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    try:
        row = json.loads(line, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    return row


def row_fault(table: str, row: Row) -> str | None:
    """What is wrong with a row of a table, in words; None where nothing is."""
    columns = TABLES[table].c
    if row.keys() != set(columns.keys()):
        return f"its columns are not those of {table}"
    for column in columns:
        if not _fits(column, row[column.name]):
            return f"`{column.name}` cannot be {row[column.name]!r:.100}"
    return _value_fault(table, row)


def _fits(column: Column[Any], value: object) -> bool:
    """Whether the database can hold it; of JSON, and numbers with a point, the value itself says more."""
    if value is None:
        return bool(column.nullable)
    if isinstance(column.type, String):
        longest = column.type.length
        return isinstance(value, str) and (longest is None or len(value) <= longest)
    if isinstance(column.type, Integer):
        largest = 2**63 if isinstance(column.type, BigInteger) else 2**31
        return type(value) is int and -largest <= value < largest
    return True


def _value_fault(table: str, row: Row) -> str | None:
    """Ids become parts of paths, so they must be such as the studio makes."""
    if table not in _VALUES:
        return None
    kind, adapter = _VALUES[table]
    if not (is_tuned(row["id"]) if kind is None else is_id(kind, row["id"])):
        return f"`id` cannot be {row['id']!r:.100}"
    if "blob" in row and not row["blob"].startswith(f"{table}/"):
        return f"`blob` cannot be {row['blob']!r:.100}"
    try:
        adapter.validate_json(json.dumps(dict(row)), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        return f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}"
    return None
