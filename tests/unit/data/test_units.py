"""What belongs together is not parted: near-duplicates, groups; and time parts in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.dataset import Dataset, Splits, dataset_of
from tunesmith.data.split import split
from tunesmith.data.units import Units, units_of
from tunesmith.errors import DataError
from tunesmith.task import Task

TASK = Task(labels=("a", "b", "c"))
WORDS = np.array([f"word{number}" for number in range(400)])


def story(number: int) -> str:
    """Twelve words that no other story has in this order."""
    return " ".join(np.random.default_rng(number).choice(WORDS, 12))


def twin(number: int) -> str:
    """The story with its last word exchanged: nine of its ten runs of three words are the same."""
    return " ".join([*story(number).split()[:-1], "end"])


def stories(count: int, twins: int = 0) -> Dataset:
    texts = [story(number) for number in range(count)] + [twin(number) for number in range(twins)]
    labels = ["abc"[number % 3] for number in range(count)] + ["abc"[number % 3] for number in range(twins)]
    return dataset_of(TASK, texts, labels)


def drawn(dataset: Dataset, units: Units | None = None, **given: Dataset) -> Splits:
    held_out = {name: given.get(name) for name in ("validation", "test")}
    return split(
        dataset,
        seed=0,
        validation_fraction=0.1,
        test_fraction=0.2,
        units=units,
        validation=held_out["validation"],
        test=held_out["test"],
    )


def part_of(splits: Splits) -> list[int]:
    return [int(part) for part in splits.part_of_row]


def test_near_duplicates_stay_together_and_single_texts_where_they_were() -> None:
    dataset = stories(90, twins=30)
    together = part_of(drawn(dataset, units_of(dataset, {})))
    assert all(together[number] == together[90 + number] for number in range(30))
    apart = part_of(drawn(dataset))
    assert any(apart[number] != apart[90 + number] for number in range(30))
    alone = stories(90)
    assert part_of(drawn(alone, units_of(alone, {}))) == part_of(drawn(alone))
    assert 0.15 < together.count(2) / 120 < 0.25
    assert "equal and nearly equal texts together" in drawn(dataset, units_of(dataset, {})).how


def test_what_is_nearly_a_given_test_text_is_left_out() -> None:
    dataset = stories(60)
    test = dataset_of(TASK, [twin(3), twin(5), "nothing of it"], ["a", "b", "c"])
    splits = drawn(dataset, units_of(dataset, {"test": test}), test=test)
    assert [row for row, part in enumerate(part_of(splits)) if part == -1] == [3, 5]
    assert "2 rows of train left out whose text, or nearly the same, also stands in a given set" in splits.how


def test_of_too_many_texts_and_of_prompts_nearness_is_not_asked() -> None:
    dataset = stories(10)
    assert units_of(dataset, {}).near
    assert not units_of(dataset, {}, near=False).near
    writing = dataset_of(Task(kind="completion"), [story(1), twin(1)], ["x", "y"])
    assert not units_of(writing, {}).near


def test_data_that_is_all_alike_is_parted_all_the_same() -> None:
    texts = [f"{story(0)} {word}" for word in WORDS[:30]] + [f"{story(1)} {word}" for word in WORDS[:30]]
    dataset = dataset_of(TASK, texts, ["a"] * 30 + ["b"] * 30)
    units = units_of(dataset, {})
    assert np.unique(units.data).size == 2
    splits = drawn(dataset, units)
    assert set(splits.test.targets) == {"a", "b"}
    assert "nearly" not in splits.how


def grouped(dataset: Dataset, groups: list[str]) -> Units:
    return units_of(dataset, {}, groups={"": groups})


def test_rows_of_a_group_stay_together_in_even_shares() -> None:
    dataset = stories(300)
    groups = [f"author {number // 5}" for number in range(300)]
    splits = drawn(dataset, grouped(dataset, groups))
    parts = part_of(splits)
    for author in range(60):
        assert len(set(parts[5 * author : 5 * author + 5])) == 1
    for part, share in ((1, 0.1), (2, 0.2)):
        rows = [row for row, each in enumerate(parts) if each == part]
        assert abs(len(rows) / 300 - share) < 0.03
        labels = [dataset.targets[row] for row in rows]
        assert all(abs(labels.count(label) / len(rows) - 1 / 3) < 0.1 for label in "abc")
    assert "rows of one group and equal and nearly equal texts together" in splits.how


def test_a_group_of_a_given_set_is_left_out_of_training() -> None:
    dataset, test = stories(60), dataset_of(TASK, ["one", "two", "three"], ["a", "b", "c"])
    groups = {"": [str(number % 20) for number in range(60)], "test": ["3", "4", "other"]}
    splits = drawn(dataset, units_of(dataset, {"test": test}, groups=groups), test=test)
    left_out = [row for row, part in enumerate(part_of(splits)) if part == -1]
    assert left_out == [3, 4, 23, 24, 43, 44]


def test_of_several_labels_groups_stay_together() -> None:
    task = Task(kind="multi_label", labels=("a", "b", "c"))
    targets = [("a", "b") if number % 2 else ("c",) for number in range(120)]
    dataset = dataset_of(task, [story(number) for number in range(120)], targets)
    parts = part_of(drawn(dataset, grouped(dataset, [str(number // 4) for number in range(120)])))
    assert all(len(set(parts[at : at + 4])) == 1 for at in range(0, 120, 4))
    assert 18 <= parts.count(2) <= 30


def by_time(dataset: Dataset, times: list[float], units: Units | None = None) -> Splits:
    return split(
        dataset,
        seed=0,
        validation_fraction=0.1,
        test_fraction=0.2,
        units=units,
        times=np.asarray(times, np.float64),
    )


def test_the_latest_rows_are_the_test() -> None:
    dataset = stories(60)
    times = [float((7 * row) % 60) for row in range(60)]
    parts = part_of(by_time(dataset, times))
    ordered = [part for _, part in sorted(zip(times, parts, strict=True))]
    assert ordered == [0] * 42 + [1] * 6 + [2] * 12
    assert by_time(dataset, times).how == "validation and test are the latest rows"


def test_rows_of_one_moment_and_texts_of_a_later_part_are_not_parted() -> None:
    dataset = stories(60, twins=6)
    times = [float(row // 20) for row in range(60)] + [2.0] * 6
    splits = by_time(dataset, times, units_of(dataset, {}))
    parts = part_of(splits)
    assert parts[40:] == [2] * 26
    assert parts[:6] == [-1] * 6
    assert set(parts[6:40]) == {0, 1}
    assert "6 rows of train left out" in splits.how


def test_a_label_that_is_only_of_late_is_refused() -> None:
    dataset = dataset_of(TASK, [story(number) for number in range(30)], ["a"] * 25 + ["b"] * 5)
    with pytest.raises(DataError, match="no row of 'b' is left to train on"):
        by_time(dataset, [float(row) for row in range(30)])


@settings(deadline=None, max_examples=40)
@given(
    groups=st.lists(st.integers(0, 12), min_size=30, max_size=80),
    twins=st.integers(0, 20),
    seed=st.integers(0, 99),
)
def test_no_unit_is_ever_parted(groups: list[int], twins: int, seed: int) -> None:
    count = len(groups)
    dataset = stories(count, twins=min(twins, count))
    units = grouped(dataset, [str(group) for group in groups] + ["own"] * min(twins, count))
    try:
        splits = split(dataset, seed=seed, validation_fraction=0.1, test_fraction=0.2, units=units)
    except DataError:
        return
    # nearness may be given up where a label would be lost, a group never
    for group in set(groups):
        rows = [row for row, each in enumerate(groups) if each == group]
        assert len({part_of(splits)[row] for row in rows}) == 1
