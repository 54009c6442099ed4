"""Scoring that was stopped goes on, and ends with the file that it would have written anyway."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tunesmith as ts
from tests.conftest import GOLDEN
from tests.models import POLITICS, SPORTS
from tunesmith.data.write import open_table
from tunesmith.score import Scoring, pieces_beside, score_file

MODEL = GOLDEN / "bundle-v1"
ROWS = 10_000
SUFFIXES = ["csv", "csv.gz", "jsonl", "jsonl.zst", "parquet"]


class StopError(Exception):
    """What kills a call in these tests."""


def _write(path: Path, rows: int = ROWS) -> Path:
    with open_table(path, ["n", "text"]) as table:
        table.write([{"n": i, "text": [*SPORTS, *POLITICS, ""][i % 7] + f" {i % 11}"} for i in range(rows)])
    return path


def _stopping(after: int) -> Callable[[Scoring], None]:
    left = iter(range(after - 1))

    def on_rows(_: Scoring) -> None:
        if next(left, None) is None:
            raise StopError

    return on_rows


def _stop(source: Path, out: Path, after: int = 1, **how: Any) -> list[Path]:
    with pytest.raises(StopError):
        score_file(MODEL, source, out, on_rows=_stopping(after), **how)
    assert not out.exists()
    return sorted(pieces_beside(out).glob("*.parquet"))


def _problems(call: Callable[[], object]) -> Sequence[ts.Problem]:
    with pytest.raises(ts.UserError) as caught:
        call()
    return caught.value.problems


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_stopped_and_resumed_is_byte_for_byte_the_same(tmp_path: Path, suffix: str) -> None:
    source, out, whole = _write(tmp_path / f"a.{suffix}"), tmp_path / f"b.{suffix}", tmp_path / f"c.{suffix}"
    score_file(MODEL, source, whole)
    assert len(_stop(source, out)) == 1
    heard: list[Scoring] = []
    scored = score_file(MODEL, source, out, resume=True, on_rows=heard.append)
    assert [so_far.rows for so_far in heard] == [8192, ROWS]
    assert scored.rows == ROWS
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {source.name, out.name, whole.name}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_damaged_piece_is_made_again_and_no_other(tmp_path: Path, suffix: str) -> None:
    source, out, whole = _write(tmp_path / f"a.{suffix}"), tmp_path / f"b.{suffix}", tmp_path / f"c.{suffix}"
    score_file(MODEL, source, whole)
    first, second, third = _stop(source, out, after=3)
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    third.write_bytes(b"")
    (pieces_beside(out) / ".x.parquet.0123abcd.tmp").write_bytes(b"what a killed writer left")
    kept = second.stat().st_mtime_ns
    heard: list[Scoring] = []
    again: list[int] = []

    def on_rows(so_far: Scoring) -> None:
        heard.append(so_far)
        again.append(second.stat().st_mtime_ns)

    score_file(MODEL, source, out, resume=True, on_rows=on_rows)
    assert [so_far.rows for so_far in heard] == [8192, ROWS]
    assert set(again) == {kept}
    assert out.read_bytes() == whole.read_bytes()


def test_stopped_when_all_is_answered(tmp_path: Path) -> None:
    source, out, whole = _write(tmp_path / "a.csv"), tmp_path / "b.csv", tmp_path / "c.csv"
    score_file(MODEL, source, whole)
    _stop(source, out, after=3)
    heard: list[Scoring] = []
    score_file(MODEL, source, out, resume=True, on_rows=heard.append)
    assert not heard
    assert out.read_bytes() == whole.read_bytes()


def test_a_changed_table_model_or_option_is_refused_with_the_difference(tmp_path: Path) -> None:
    source, out = _write(tmp_path / "a.csv"), tmp_path / "b.csv"
    _stop(source, out)
    other = tmp_path / "model"
    shutil.copytree(MODEL, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "tunesmith": "0.0.0"}))
    with source.open("a") as stream:
        stream.write("10000,one more\n")
    problems = _problems(
        lambda: score_file(other, source, out, resume=True, text_column="n", min_confidence=0.5)
    )
    assert {problem.code for problem in problems} == {"resume-changed"}
    said = "\n".join(problem.what for problem in problems)
    assert "`sha256.input`: the rows of the input data changed" in said
    assert "`model`: it is another model" in said
    assert "`options.text_column` was 'text' when the run began and is 'n' now" in said
    assert "`options.min_confidence` was 0.0 when the run began and is 0.5 now" in said
    assert len(problems) == 4
    assert len(list(pieces_beside(out).glob("*.parquet"))) == 1, "what was answered is kept"


def test_what_was_stopped_is_lost_only_where_asked(tmp_path: Path) -> None:
    source, out = _write(tmp_path / "a.csv"), tmp_path / "b.csv"
    (nothing,) = _problems(lambda: score_file(MODEL, source, out, resume=True))
    assert nothing.code == "nothing-to-resume"
    _stop(source, out)
    (exists,) = _problems(lambda: score_file(MODEL, source, out))
    assert (exists.code, exists.where) == ("exists", str(pieces_beside(out)))
    heard: list[Scoring] = []
    score_file(MODEL, source, out, overwrite=True, on_rows=heard.append)
    assert heard[0].rows == 4096


def test_a_table_that_may_be_replaced_may_be_so_by_one_that_goes_on(tmp_path: Path) -> None:
    source, out = _write(tmp_path / "a.csv"), tmp_path / "b.csv"
    out.write_text("earlier")
    with pytest.raises(StopError):
        score_file(MODEL, source, out, overwrite=True, on_rows=_stopping(1))
    assert out.read_text() == "earlier"
    score_file(MODEL, source, out, resume=True)
    assert out.read_text().startswith("n,text,predicted_label")


def test_stopped_before_the_first_piece_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "good"}\n' * 5000 + "{\n")
    (problem,) = _problems(lambda: score_file(MODEL, source, tmp_path / "b.csv"))
    assert (problem.code, problem.where) == ("bad-json", f"{source}:5001")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_table_that_changes_while_it_is_scored_is_told(tmp_path: Path) -> None:
    source, out = _write(tmp_path / "a.csv"), tmp_path / "b.csv"

    def on_rows(so_far: Scoring) -> None:
        if so_far.rows == ROWS:
            source.write_bytes(source.read_bytes().replace(b"\n7,", b"\n8,"))

    (problem,) = _problems(lambda: score_file(MODEL, source, out, on_rows=on_rows))
    assert problem.code == "source-changed"
    assert not out.exists()


def _rich_table(rows: int) -> pa.Table:
    """Types of which Python's objects and CSV know nothing."""
    return pa.table(
        {
            "text": pa.array([SPORTS[i % 3] if i % 5 else None for i in range(rows)], pa.string()),
            "small": pa.array([i % 100 for i in range(rows)], pa.int8()),
            "when": pa.array(
                [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * rows,
                pa.timestamp("ns", "Europe/Paris"),
            ),
            "price": pa.array([None] * rows, pa.decimal128(10, 2)),
            "kind": pa.array(["a", "b"] * (rows // 2), pa.string()).dictionary_encode(),
            "parts": pa.array([[{"x": i, "y": "z"}] for i in range(rows)]),
            "raw": pa.array([b"\xff\x00"] * rows, pa.binary()),
        }
    ).replace_schema_metadata({"from": "the warehouse"})


def test_parquet_keeps_its_schema_its_types_and_its_row_groups(tmp_path: Path) -> None:
    table, source, out = _rich_table(10_000), tmp_path / "a.parquet", tmp_path / "b.parquet"
    with pq.ParquetWriter(source, table.schema) as writer:
        for start, rows in ((0, 6000), (6000, 10), (6010, 3990)):
            writer.write_table(table.slice(start, rows))
    _stop(source, out)
    score_file(MODEL, source, out, resume=True)
    found = pq.ParquetFile(out)
    groups = [found.metadata.row_group(number).num_rows for number in range(found.num_row_groups)]
    assert groups == [6000, 10, 3990]
    assert found.schema_arrow.metadata[b"from"] == b"the warehouse"
    read = found.read()
    assert read.select(table.column_names).schema == pq.ParquetFile(source).schema_arrow
    assert read.select(table.column_names).equals(pq.ParquetFile(source).read())
    added = {"predicted_label": "large_string", "probability": "double", "truncated": "bool"}
    assert {name: str(read.schema.field(name).type) for name in added} == added
    assert read.column("predicted_label").null_count == 2000


def test_a_total_is_known_of_parquet_and_guessed_of_text(tmp_path: Path) -> None:
    for name, estimated in (("a.parquet", False), ("a.csv", True), ("a.csv.gz", True)):
        heard: list[Scoring] = []
        score_file(MODEL, _write(tmp_path / name), tmp_path / f"out-{name}", on_rows=heard.append)
        assert [so_far.estimated for so_far in heard] == [estimated] * 3
        if not estimated:
            assert [so_far.total for so_far in heard] == [ROWS] * 3
        assert heard[-1].total == ROWS
        assert heard[-1].seconds_left == 0
