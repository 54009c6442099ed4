"""Tables are written whole or not at all, and read back as they were."""

from __future__ import annotations

import datetime
import gzip
import math
import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.dataset import dataset_of
from tunesmith.data.read import read, stream
from tunesmith.data.write import open_table, write_dataset
from tunesmith.errors import StorageError
from tunesmith.task import Task

from .conftest import Refused

TEXT_SUFFIXES = [".csv", ".tsv", ".jsonl", ".ndjson", ".csv.gz", ".tsv.zst", ".jsonl.xz", ".jsonl.gz"]
SUFFIXES = [*TEXT_SUFFIXES, ".parquet"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_written_in_the_order_of_the_columns(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with open_table(path, ["text", "label", "score"]) as table:
        table.write([{"text": "one, two", "score": 0.5, "label": "a", "unused": 1}])
        table.write([])
        table.write([{"text": 'say "é"\n', "label": None, "score": 1.0}, {"text": "three"}])
        assert not path.exists()
    rows = [row.values for row in stream(path)]
    assert list(rows[0]) == ["text", "label", "score"]
    assert [row["text"] for row in rows] == ["one, two", 'say "é"\n', "three"]
    assert [str(row["score"] or "") for row in rows] == ["0.5", "1.0", ""]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"old")

    def fail() -> None:
        with open_table(path, ["text"]) as table:
            table.write([{"text": "a"}])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("suffix", ["", ".txt", ".json", ".parquet.gz", ".xlsx", ".gz"])
def test_an_unknown_suffix_is_refused_before_anything_is_written(
    tmp_path: Path, refused: Refused, suffix: str
) -> None:
    def write() -> None:
        with open_table(tmp_path / f"out{suffix}", ["text"]):
            raise AssertionError

    assert refused(write).code == "unknown-format"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError), open_table(tmp_path / "file" / "out.csv", ["text"]):
        pass


@pytest.mark.parametrize("cell", ["=1+1", "+1 day", "-a", "@SUM(A1)", "\tx", "\rx"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_formulas_are_made_harmless(tmp_path: Path, cell: str, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with open_table(path, ["text", cell]) as table:
        table.write([{"text": cell, cell: "fine"}])
    (row,) = stream(path)
    assert row.values == {"text": f"'{cell}", f"'{cell}".strip(): "fine"}


def test_numbers_are_no_formulas(tmp_path: Path) -> None:
    cells = ["-1", "+2.5", "-1e-7", -3, -0.25]
    with open_table(tmp_path / "out.csv", ["x"]) as table:
        table.write([{"x": cell} for cell in cells])
    assert (tmp_path / "out.csv").read_text().split() == ["x", "-1", "+2.5", "-1e-7", "-3", "-0.25"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_other_formats_need_no_guard(tmp_path: Path, suffix: str) -> None:
    with open_table(tmp_path / f"out{suffix}", ["text"]) as table:
        table.write([{"text": "=1+1"}])
    assert next(stream(tmp_path / f"out{suffix}")).values == {"text": "=1+1"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_odd_cells_can_be_written(tmp_path: Path, suffix: str) -> None:
    cells = {"a": math.nan, "b": [1, {"x": math.inf}], "c": datetime.date(2024, 1, 2), "d": True, "e": 2**70}
    with open_table(tmp_path / f"out{suffix}", list(cells)) as table:
        table.write([cells])
    (row,) = stream(tmp_path / f"out{suffix}")
    assert row.values["a"] in (None, "") or math.isnan(float(str(row.values["a"])))
    assert str(row.values["c"]) == "2024-01-02"
    assert str(row.values["d"]).lower() == "true"
    assert int(str(row.values["e"])) == 2**70


def test_parquet_keeps_numbers_as_numbers(tmp_path: Path) -> None:
    with open_table(tmp_path / "out.parquet", ["text", "n", "score", "sure", "none", "mixed"]) as table:
        rows: list[dict[str, object]] = [
            {"text": "a", "n": 1, "score": 0.5, "sure": True, "mixed": 1},
            {"text": None, "n": None, "score": 1, "sure": None, "mixed": "x"},
        ]
        table.write(rows)
    types = dict(
        zip(
            *(lambda schema: (schema.names, map(str, schema.types)))(
                pq.read_schema(tmp_path / "out.parquet")
            ),
            strict=True,
        )
    )
    assert types == {
        "text": "large_string",
        "n": "int64",
        "score": "double",
        "sure": "bool",
        "none": "large_string",
        "mixed": "large_string",
    }


def test_a_parquet_column_that_changes_its_type_is_refused(tmp_path: Path, refused: Refused) -> None:
    def write() -> None:
        with open_table(tmp_path / "out.parquet", ["n"]) as table:
            for cell in (1, "x"):
                table.write([{"n": cell}] * 20_000)

    problem = refused(write)
    assert problem.code == "mixed-types"
    assert 'column "n"' in problem.what
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet"):
        with open_table(tmp_path / f"out{suffix}", ["text", "label"]):
            pass
    assert (tmp_path / "out.csv").read_text() == "text,label\n"
    assert pq.read_schema(tmp_path / "out.parquet").names == ["text", "label"]


def test_equal_content_gives_equal_files(tmp_path: Path) -> None:
    for name in ("one.csv.gz", "two.csv.gz"):
        with open_table(tmp_path / name, ["text"]) as table:
            table.write([{"text": "a"}])
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.csv.gz").read_bytes()).split() == [b"text", b"a"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".csv.zst"])
def test_writing_needs_little_memory(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": "some text " * 20, "label": "a"}] * 1000
    tracemalloc.start()
    with open_table(tmp_path / f"out{suffix}", ["text", "label"]) as table:
        for _ in range(30):
            table.write(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000


def test_a_dataset_has_the_columns_of_its_task(tmp_path: Path) -> None:
    task = Task(text_column="review", target_column="stars")
    write_dataset(tmp_path / "out.csv", dataset_of(task, ["=fine", "bad"], ["5", None]))
    assert (tmp_path / "out.csv").read_text().splitlines() == ["review,stars", "=fine,5", "bad,"]


CHARS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORDS = st.text(CHARS, max_size=20)
LABELS = WORDS.filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(rows=st.lists(st.tuples(WORDS, LABELS), min_size=1, max_size=8), suffix=st.sampled_from(SUFFIXES))
def test_a_dataset_reads_back_as_it_was_written(
    tmp_path: Path, rows: list[tuple[str, str]], suffix: str
) -> None:
    dataset = dataset_of(Task(), [text for text, _ in rows], [label for _, label in rows])
    write_dataset(tmp_path / f"out{suffix}", dataset)
    again = read(tmp_path / f"out{suffix}")
    assert again.problems == ()
    assert again.sha256 == dataset.sha256
