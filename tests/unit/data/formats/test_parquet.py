"""Parquet: rows and their numbers, odd columns, damage."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith.data.formats.source import open_rows
from tunesmith.data.problems import ReadLog

from ..conftest import Refused, Save


def save_table(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def test_rows_are_numbered_through_all_batches(tmp_path: Path) -> None:
    table = pa.table({"text": [f"t{number}" for number in range(3000)], "label": [1.0] * 3000})
    rows = list(open_rows(save_table(tmp_path / "a.parquet", table), ReadLog()))
    assert [row.line for row in rows] == list(range(1, 3001))
    assert rows[2999].values == {"text": "t2999", "label": 1.0}
    assert rows[2999].where == f"{tmp_path / 'a.parquet'}:3000"


def test_odd_columns_come_as_plain_values(tmp_path: Path) -> None:
    table = pa.table(
        {
            "labels": pa.array([["a"], None]),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "at": pa.array([datetime.datetime(2024, 1, 2, 3, 4, 5), None], pa.timestamp("ns")),
        }
    )
    rows = list(open_rows(save_table(tmp_path / "a.parquet", table), ReadLog()))
    assert rows[0].values["labels"] == ["a"]
    assert rows[1].values == {"labels": None, "kind": "y", "at": None}
    assert str(rows[0].values["at"]).startswith("2024-01-02 03:04:05")


def test_bytes_that_are_not_utf8_are_replaced_and_told(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"caf\xe9", None], pa.binary())
    text = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2], raw.buffers()[0])
    path = save_table(tmp_path / "a.parquet", pa.table({"text": text}))
    log = ReadLog()
    assert [row.values["text"] for row in open_rows(path, log)] == ["fine", "caf\ufffd", None]
    assert [(problem.code, problem.where) for problem in log.problems] == [("bad-encoding", f"{path}:2")]


def test_what_is_no_parquet_is_refused(tmp_path: Path, save: Save, refused: Refused) -> None:
    whole = save_table(tmp_path / "a.parquet", pa.table({"text": ["a"] * 100})).read_bytes()
    for content, code in ((b"", "empty-file"), (b"text,label\n", "bad-parquet"), (whole[:-9], "bad-parquet")):
        path = save("b.parquet", content)
        problem = refused(lambda path=path: list(open_rows(path, ReadLog())))  # type: ignore[misc]
        assert (problem.code, problem.where) == (code, str(path))


def test_a_table_without_rows_is_refused(tmp_path: Path, refused: Refused) -> None:
    path = save_table(tmp_path / "a.parquet", pa.table({"text": pa.array([], pa.string())}))
    assert refused(lambda: list(open_rows(path, ReadLog()))).code == "no-rows"


def test_columns_of_one_name_are_refused(tmp_path: Path, refused: Refused) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"])
    path = save_table(tmp_path / "a.parquet", table)
    assert refused(lambda: list(open_rows(path, ReadLog()))).code == "duplicate-column"


def test_a_cell_over_10_mb_is_refused(tmp_path: Path, refused: Refused) -> None:
    path = save_table(tmp_path / "a.parquet", pa.table({"text": ["a", "x" * 11_000_000]}))
    problem = refused(lambda: list(open_rows(path, ReadLog())))
    assert (problem.code, problem.where) == ("line-too-long", f"{path}:2")
