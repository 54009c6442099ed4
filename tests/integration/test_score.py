from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import tunesmith as ts
from tests.conftest import GOLDEN
from tests.models import POLITICS, SPORTS
from tunesmith.data.write import open_table
from tunesmith.score import LABEL, PROBABILITY, TRUNCATED, Scoring, score_file

MODEL = GOLDEN / "bundle-v1"
ADDED = [LABEL, PROBABILITY, TRUNCATED]
Row = dict[str, Any]
ROWS: list[Row] = [
    {"id": i, "text": text, "note": f"a, b\n{i}"}
    for i, text in enumerate([*SPORTS, "", *POLITICS, "  ", "the match " * 40])
]


def _write(path: Path, rows: list[Row]) -> Path:
    with open_table(path, list(rows[0]), guard_formulas=False) as table:
        table.write(rows)
    return path


def _read(path: Path) -> list[Row]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    stream = io.StringIO(data.decode("utf-8"), newline="")
    if ".jsonl" in path.name:
        return [json.loads(line) for line in stream]
    return list(csv.DictReader(stream, delimiter="\t" if ".tsv" in path.name else ","))


def _codes(call: Callable[[], object]) -> list[str]:
    with pytest.raises(ts.UserError) as caught:
        call()
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize("source", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("out", ["b.csv", "b.tsv", "b.jsonl", "b.parquet", "b.csv.gz", "b.jsonl.gz"])
def test_every_row_keeps_its_place_and_its_columns(tmp_path: Path, source: str, out: str) -> None:
    scored = score_file(MODEL, _write(tmp_path / source, ROWS), tmp_path / out)
    rows = _read(tmp_path / out)
    assert list(rows[0]) == ["id", "text", "note", *ADDED]
    assert [str(row["id"]) for row in rows] == [str(row["id"]) for row in ROWS]
    assert [row["note"] for row in rows] == [row["note"] for row in ROWS]
    predictions = ts.load(MODEL).predict([row["text"] for row in ROWS])
    for row, given, prediction in zip(rows, ROWS, predictions, strict=True):
        if not given["text"].strip():
            assert [row[name] or None for name in ADDED] == [None] * 3
        else:
            assert row[LABEL] == prediction.target
            assert float(row[PROBABILITY]) == pytest.approx(prediction.score, abs=1e-6)
            assert str(row[TRUNCATED]).lower() == str(prediction.truncated).lower()
    assert scored.rows == len(ROWS)
    assert "rows without text, which got no label: 2" in scored.notes
    assert {path.name for path in tmp_path.iterdir()} == {source, out}


def test_a_table_may_replace_itself_only_where_asked(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", ROWS)
    assert _codes(lambda: score_file(MODEL, path, path)) == ["exists"]
    score_file(MODEL, path, path, overwrite=True)
    assert list(_read(path)[0]) == ["id", "text", "note", *ADDED]
    assert _codes(lambda: score_file(MODEL, path, tmp_path / "b.csv")) == ["column-taken"]


def test_more_rows_than_a_piece(tmp_path: Path) -> None:
    rows = [{"text": f"{SPORTS[i % 3]} {i % 7}", "n": i} for i in range(9000)]
    heard: list[Scoring] = []
    source, out = _write(tmp_path / "a.csv", rows), tmp_path / "b.csv"
    scored = score_file(MODEL, source, out, on_rows=heard.append)
    assert [int(row["n"]) for row in _read(out)] == list(range(9000))
    assert [so_far.rows for so_far in heard] == [4096, 8192, 9000]
    assert all(so_far.estimated and so_far.total for so_far in heard)
    assert heard[0].total == pytest.approx(9000, rel=0.2)
    assert heard[-1].total == 9000
    assert scored.rows_per_second > 0


def test_the_named_column_is_read(tmp_path: Path) -> None:
    rows = [{"text": POLITICS[i % 3], "other": SPORTS[i % 3]} for i in range(6)]
    source = _write(tmp_path / "a.csv", rows)
    score_file(MODEL, source, tmp_path / "b.csv", text_column="other")
    assert {row[LABEL] for row in _read(tmp_path / "b.csv")} == {"sports"}
    assert _codes(lambda: score_file(MODEL, source, tmp_path / "c.csv", text_column="absent")) == [
        "no-column"
    ]


def test_columns_that_come_too_late_are_told(tmp_path: Path) -> None:
    rows: list[Row] = [{"text": ""} for _ in range(5100)]
    rows[5050]["late"] = 1
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scored = score_file(MODEL, source, tmp_path / "b.jsonl")
    assert any('"late" is left out' in note and "a.jsonl:5051" in note for note in scored.notes)
    assert len(_read(tmp_path / "b.jsonl")) == 5100


@pytest.mark.parametrize(
    ("line", "code"),
    [(b'{"text": ["a", "list"]}', "bad-cell"), (b"{", "bad-json"), (b'{"text": "caf\xe9"}', "bad-encoding")],
)
def test_a_row_that_cannot_be_read_is_told_and_nothing_is_written(
    tmp_path: Path, line: bytes, code: str
) -> None:
    source = tmp_path / "a.jsonl"
    source.write_bytes(b'{"text": "good"}\n' * 600 + line + b"\n")
    with pytest.raises(ts.UserError, match=rf"(?s){code}.*a\.jsonl:601"):
        score_file(MODEL, source, tmp_path / "b.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_table(tmp_path: Path, suffix: str) -> None:
    for name, rows in (("small", 10_000), ("large", 60_000)):
        # most rows have no text, which costs no forward pass
        texts = [SPORTS[i % 3] if i % 20 == 0 else "" for i in range(rows)]
        table = pa.table({"text": texts, "payload": [f"{i:08}" * 100 for i in range(rows)]})
        if suffix == "csv":
            pa.csv.write_csv(table, tmp_path / f"{name}.csv")
        else:
            pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=2000)
    code = f"""
from tunesmith.score import score_file
for name in ("small", "large"):
    score_file({str(MODEL)!r}, name + ".{suffix}", name + ".out.{suffix}")
    print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    small, large = (int(line) / 1024 for line in done.stdout.split())
    assert large - small < 20, "MB"


def test_a_row_whose_label_is_not_likely_enough_gets_none(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.jsonl", ROWS)
    score_file(MODEL, source, tmp_path / "all.jsonl")
    likely = sorted(row[PROBABILITY] for row in _read(tmp_path / "all.jsonl") if row[LABEL])
    middle = (likely[2] + likely[3]) / 2
    score_file(MODEL, source, tmp_path / "sure.jsonl", min_confidence=middle)
    rows = [row for row in _read(tmp_path / "sure.jsonl") if row[PROBABILITY] is not None]
    assert [row[LABEL] is not None for row in rows] == [row[PROBABILITY] >= middle for row in rows]
    assert sum(row[LABEL] is None for row in rows) == 3
