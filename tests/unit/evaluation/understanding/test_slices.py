"""Slices: who is in them, what they score, and which are marked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluation.understanding.conftest import LABELS, several, single
from tunesmith.data.dataset import dataset_of
from tunesmith.evaluation.understanding.slices import OTHER, by_column, cuts_of, slice_tables
from tunesmith.task import Task

TASK = Task(labels=LABELS)


def test_scores_are_those_of_the_rows_of_the_slice() -> None:
    # in x: two of three are right, and a and b occur; in y: one of one, and only c occurs
    answers = single([0, 0, 1, 2], [0, 1, 1, 2])
    (table,) = slice_tables(answers, [by_column("kind", ["x"] * 3 + ["y"])], seed=0)
    (joined,) = table.slices  # both are of under ten rows
    assert (joined.name, joined.rows, joined.difference, joined.worse) == (OTHER, 4, None, False)
    assert joined.accuracy.value == 0.75
    assert joined.macro_f1.value == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert joined.macro_f1.low <= joined.macro_f1.value <= joined.macro_f1.high


def test_macro_f1_is_over_the_labels_that_occur() -> None:
    answers = single([0] * 12 + [1] * 12, [0] * 12 + [1] * 12)
    (table,) = slice_tables(answers, [by_column("kind", ["x"] * 12 + ["y"] * 12)], seed=0)
    assert [each.macro_f1.value for each in table.slices] == [1.0, 1.0]


def test_a_part_that_is_surely_worse_is_marked() -> None:
    truth = [0] * 200
    predicted = [0, 1] * 50 + [0] * 95 + [1] * 5
    (table,) = slice_tables(single(truth, predicted), [by_column("site", ["x"] * 100 + ["y"] * 100)], seed=0)
    one, other = table.slices
    assert (one.name, one.worse, other.worse) == ("x", True, False)
    assert one.difference is not None
    assert one.difference.value == pytest.approx(0.5 - 0.95)
    assert one.difference.high < 0


def test_the_more_parts_are_looked_at_the_wider_the_intervals() -> None:
    answers = single([0] * 200, [0, 1] * 50 + [0] * 60 + [1] * 40)
    cut = by_column("site", ["x"] * 100 + ["y"] * 100)
    alone, among = slice_tables(answers, [cut], seed=0)[0], slice_tables(answers, [cut] * 6, seed=0)[0]
    for one, other in zip(alone.slices, among.slices, strict=True):
        assert one.difference is not None
        assert other.difference is not None
        assert other.difference.low < one.difference.low < one.difference.high < other.difference.high
        assert one.accuracy == other.accuracy


def test_rare_and_further_values_are_joined() -> None:
    values = [f"v{number}" for number in range(15) for _ in range(20)] + ["rare"] * 9
    cut = by_column("site", values)
    assert len(cut.names) == 13
    assert cut.names[-1] == OTHER
    assert (cut.ids == 12).sum() == 3 * 20 + 9


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)
)
def test_parts_make_up_the_whole(rows: list[tuple[str, int, int]]) -> None:
    answers = single([row[1] for row in rows], [row[2] for row in rows])
    (table,) = slice_tables(answers, [by_column("kind", [row[0] for row in rows])], seed=0)
    assert sum(each.rows for each in table.slices) == len(rows)
    right = sum(each.rows * each.accuracy.value for each in table.slices)
    assert right == pytest.approx(sum(row[1] == row[2] for row in rows))


def test_lengths_are_parted_at_quartiles() -> None:
    test = dataset_of(TASK, ["x" * length for length in (1, 2, 3, 4, 5, 6, 7, 1_000)], ["a"] * 8)
    (cut,) = cuts_of(test, np.zeros(8, bool), {})
    assert cut.kind == "length"
    assert cut.names == (
        "1 to 2 characters",
        "3 to 4 characters",
        "5 to 6 characters",
        "7 to 1,000 characters",
    )
    assert cut.ids.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_what_parts_nothing_is_left_out() -> None:
    same = dataset_of(TASK, ["one"] * 30, ["a"] * 30)
    assert cuts_of(same, np.zeros(30, bool), {}) == ()
    assert [cut.by for cut in cuts_of(same, np.zeros(30, bool), {"site": ["x"] * 30})] == ["site"]
    cut = np.arange(30) < 12
    assert [each.kind for each in cuts_of(same, cut, {})] == ["cut"]


def test_files_part_the_rows() -> None:
    import pyarrow as pa

    one, other = (dataset_of(TASK, ["one"] * 15, ["a"] * 15, name) for name in ("x.csv", "y.csv"))
    tables = [each.table.cast(one.table.schema) for each in (one, other)]
    both = type(one)(TASK, pa.concat_tables(tables).unify_dictionaries())
    (cut,) = cuts_of(both, np.zeros(30, bool), {})
    assert (cut.kind, cut.names) == ("source", ("x.csv", "y.csv"))


def test_of_several_labels_a_row_is_right_where_all_are() -> None:
    truth = [[1, 1, 0], [1, 0, 0]] * 10
    answers = several(truth, [[0.9, 0.8, 0.1], [0.9, 0.6, 0.2]] * 10)
    assert answers.right.tolist() == [True, False] * 10
    assert answers.confidence[:2] == pytest.approx([0.9 * 0.8 * 0.9, 0.9 * 0.6 * 0.8])
    (table,) = slice_tables(answers, [by_column("kind", ["x", "y"] * 10)], seed=0)
    assert [each.accuracy.value for each in table.slices] == [1.0, 0.0]
    # a is right everywhere, b was given wrongly in each of y's rows
    assert [each.macro_f1.value for each in table.slices] == [1.0, 0.5]


def test_rows_without_any_label_have_no_f1_to_lower() -> None:
    answers = several([[0, 0, 0]] * 20, [[0.1, 0.1, 0.1]] * 20)
    (table,) = slice_tables(answers, [by_column("kind", ["x"] * 20)], seed=0)
    assert table.slices[0].macro_f1.value == 1.0
