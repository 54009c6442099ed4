"""The tables that can be written, one context a format; all stream to bytes that others close."""

from __future__ import annotations

import codecs
import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith.data.problems import refuse

__all__ = ["Write", "delimited_table", "json_lines_table", "parquet_table"]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_INT64_MAX = 2**63 - 1
_GROUP_ROWS = 1 << 14
_GROUP_CHARS = 1 << 24

Record = Sequence[object]  # cells in the order of the columns
Write = Callable[[Sequence[Record]], None]


def _plain(cell: object) -> object:
    """The cell with null for numbers that JSON does not have."""
    match cell:
        case float() if not math.isfinite(cell):
            return None
        case list():
            return [_plain(item) for item in cell]
        case dict():
            return {str(key): _plain(item) for key, item in cell.items()}
        case _:
            return cell


def _json(cell: object) -> str:
    return json.dumps(_plain(cell), ensure_ascii=False, allow_nan=False, default=str)


def _text(cell: object) -> str | None:
    """The cell as one text, None where it is empty."""
    match cell:
        case None:
            return None
        case float() if math.isnan(cell):
            return None
        case bool() | list() | dict():
            return _json(cell)
        case _:
            return str(cell)


@contextmanager
def delimited_table(
    stream: IO[bytes], columns: Sequence[str], delimiter: str, guard_formulas: bool
) -> Iterator[Write]:
    """CSV or TSV in UTF-8, quoted as RFC 4180 has it; `guard_formulas` makes formulas harmless text."""
    cell_text = _guarded if guard_formulas else _text
    writer = csv.writer(codecs.getwriter("utf-8")(stream), delimiter=delimiter)

    def write(records: Sequence[Record]) -> None:
        writer.writerows([cell_text(cell) for cell in record] for record in records)

    write([columns])
    yield write


def _guarded(cell: object) -> str | None:
    text = _text(cell)
    if text is None or not text.startswith(_FORMULA_STARTS) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


@contextmanager
def json_lines_table(stream: IO[bytes], columns: Sequence[str]) -> Iterator[Write]:
    """One JSON object a line, in UTF-8."""

    def write(records: Sequence[Record]) -> None:
        for record in records:
            line = _json(dict(zip(columns, record, strict=True)))
            stream.write(line.encode("utf-8") + b"\n")

    yield write


@contextmanager
def parquet_table(stream: IO[bytes], columns: Sequence[str]) -> Iterator[Write]:
    """Parquet, a row group at a time; the first group decides whether a column holds numbers or text."""
    groups = _Groups(stream, columns)
    try:
        yield groups.write
        groups.write_rest()
    finally:
        groups.close()


class _Groups:
    """Gathers records into row groups of bounded size."""

    def __init__(self, stream: IO[bytes], columns: Sequence[str]) -> None:
        self._stream = stream
        self._columns = columns
        self._writer: pq.ParquetWriter | None = None
        self._records: list[Record] = []
        self._chars = 0
        self._rows_written = 0

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self._records.append(record)
            self._chars += sum(len(cell) for cell in record if isinstance(cell, str))
            if len(self._records) >= _GROUP_ROWS or self._chars >= _GROUP_CHARS:
                self._write_group()

    def write_rest(self) -> None:
        # a table without rows still has its columns
        if self._records or self._writer is None:
            self._write_group()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write_group(self) -> None:
        cells = [[record[at] for record in self._records] for at in range(len(self._columns))]
        if self._writer is None:
            fields = zip(self._columns, map(_type_of, cells), strict=True)
            self._writer = pq.ParquetWriter(self._stream, pa.schema(fields), compression="zstd")
        arrays = [
            self._array(column, field) for column, field in zip(cells, self._writer.schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._writer.schema))
        self._rows_written += len(self._records)
        self._records, self._chars = [], 0

    def _array(self, cells: list[object], field: pa.Field) -> pa.Array:
        if field.type == pa.large_string():
            return pa.array(map(_text, cells), field.type)
        if field.type == pa.list_(pa.large_string()):
            # no list of the first group held anything that is no text; whatever comes later becomes text
            lists = (list(map(_text, cell)) if isinstance(cell, list) else cell for cell in cells)
            return pa.array(lists, field.type)
        try:
            return pa.array(cells, field.type)
        except (pa.ArrowException, OverflowError, TypeError) as error:
            what = f'column "{field.name}" was {field.type} at first, but then: {error}'
            where = f"row {self._rows_written + 1:,} or later"
            raise refuse("mixed-types", what, where, "write .csv or .jsonl instead") from error


def _type_of_lists(cells: list[object]) -> pa.DataType:
    match {type(item) for cell in cells if isinstance(cell, list) for item in cell}:
        case kinds if kinds == {float}:
            return pa.list_(pa.float64())
        case kinds if kinds <= {str}:
            return pa.list_(pa.large_string())
        case _:
            return pa.large_string()


def _type_of(cells: list[object]) -> pa.DataType:
    match {type(cell) for cell in cells if cell is not None}:
        case kinds if kinds == {bool}:
            return pa.bool_()
        case kinds if (
            kinds == {int} and max(abs(cell) for cell in cells if isinstance(cell, int)) <= _INT64_MAX
        ):
            return pa.int64()
        case kinds if float in kinds and kinds <= {int, float}:
            return pa.float64()
        case kinds if kinds == {list}:
            return _type_of_lists(cells)
        case _:
            return pa.large_string()
