from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tunesmith as ts
from tunesmith.errors import DataError
from tunesmith.score.answers import added_columns
from tunesmith.score.output import Answered, row_groups

SCHEMA = added_columns(ts.Task())


def _answers(*labels: str | None) -> pa.Table:
    rows = [{"predicted_label": label, "truncated": None if label is None else False} for label in labels]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_answers_are_taken_across_pieces() -> None:
    answers = Answered(iter([_answers("a", None, "b"), _answers("c"), _answers("d", "e")]), SCHEMA, Path("x"))
    taken = [answers.take(rows).column("predicted_label").to_pylist() for rows in (2, 0, 3, 1)]
    assert taken == [["a", None], [], ["b", "c", "d"], ["e"]]
    assert (answers.rows, answers.empty) == (6, 1)
    answers.end()


@pytest.mark.parametrize("rows", [3, 1])
def test_more_or_fewer_rows_than_answers_are_told(rows: int) -> None:
    answers = Answered(iter([_answers("a", "b")]), SCHEMA, Path("a.csv"))
    with pytest.raises(DataError, match=r"(?s)source-changed.*a\.csv"):
        answers.take(rows)
        answers.end()


def test_a_row_group_that_is_too_large_to_hold_comes_in_parts() -> None:
    table = pa.table({"a": list(range(200_000))})
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=150_000)
    with pq.ParquetFile(stream) as file:
        assert [group.num_rows for group in row_groups(file)] == [150_000, 50_000]
        parts = list(row_groups(file, most_bytes=1000))
    assert max(part.num_rows for part in parts) == 1 << 16
    assert pa.concat_tables(parts).equals(table)
