"""Splits: seeded, stratified, and equal texts are never parted."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.dataset import Dataset, Splits, dataset_of
from tunesmith.data.read import read
from tunesmith.data.split import split
from tunesmith.data.texts import same_text_key
from tunesmith.errors import DataError
from tunesmith.task import Task

TASK = Task(labels=("a", "b", "c"))


def data(count: int = 100, start: int = 0) -> Dataset:
    numbers = range(start, start + count)
    return dataset_of(
        TASK, [f"text {number}" for number in numbers], ["abc"[number % 3] for number in numbers]
    )


def parts(splits: Splits) -> list[Dataset]:
    return [splits.train, splits.validation, splits.test]


def keys(dataset: Dataset) -> set[int]:
    return set(map(same_text_key, dataset.texts))


def standard(dataset: Dataset, seed: int = 0) -> Splits:
    return split(dataset, seed=seed, validation_fraction=0.1, test_fraction=0.15)


def test_every_row_goes_to_one_part_in_its_order() -> None:
    splits = standard(data())
    assert sorted(text for part in parts(splits) for text in part.texts) == sorted(data().texts)
    for part in parts(splits):
        numbers = [int(text.split()[1]) for text in part.texts]
        assert numbers == sorted(numbers)
        assert part.task == TASK
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (76, 9, 15)
    assert splits.how == "validation and test drawn with seed 0, stratified by label, equal texts together"


def test_the_seed_decides_and_is_the_same_on_every_machine() -> None:
    assert standard(data(), 1).test.texts == standard(data(), 1).test.texts
    assert standard(data(), 1).test.texts != standard(data(), 2).test.texts
    assert standard(data(), 7).validation.texts == [
        f"text {number}" for number in (15, 21, 22, 34, 41, 47, 54, 62, 67)
    ]


def test_the_order_of_the_rows_makes_no_difference() -> None:
    shuffled = data().take([*range(50, 100), *range(49, -1, -1)])
    for one, other in zip(parts(standard(data())), parts(standard(shuffled)), strict=True):
        assert set(one.texts) == set(other.texts)


def test_a_larger_dataset_keeps_most_of_the_split() -> None:
    assert len(set(standard(data(99)).test.texts) & set(standard(data(102)).test.texts)) > 10


def test_no_row_need_be_kept_for_validation() -> None:
    splits = split(data(), seed=0, validation_fraction=0.0, test_fraction=0.15)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (85, 0, 15)
    assert splits.validation.task == TASK
    assert splits.test.texts == standard(data()).test.texts
    assert splits.how == (
        "test drawn with seed 0, stratified by label, equal texts together; no row is kept for validation"
    )
    given = split(data(), seed=0, validation_fraction=0.0, test_fraction=0.15, validation=data(10))
    assert len(given.validation) == 10
    with pytest.raises(DataError, match="the validation set would be empty"):
        split(data(), seed=0, validation_fraction=0.0, test_fraction=0.15, validation=data(0))


def test_no_row_need_be_kept_for_a_test() -> None:
    splits = split(data(), seed=0, validation_fraction=0.1, test_fraction=0.0)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (91, 9, 0)
    assert splits.how == "validation drawn with seed 0, stratified by label, equal texts together"


def test_rows_that_stand_in_a_given_set_are_left_out() -> None:
    splits = split(
        data(),
        seed=0,
        validation_fraction=0.1,
        test_fraction=0.15,
        validation=data(10),
        test=data(10, start=5),
    )
    assert splits.test.texts == data(10, start=5).texts
    assert splits.validation.texts == data(5).texts
    assert splits.train.texts == data(85, start=15).texts
    assert splits.how == (
        "validation and test given; 15 rows of train left out whose text also stands in a given set; "
        "5 rows of validation left out whose text also stands in a given set"
    )


@pytest.mark.parametrize("name", ["validation", "test"])
def test_the_part_that_is_not_given_is_drawn(name: str) -> None:
    held_out: dict[str, Any] = {name: data(12, start=200)}
    splits = split(data(), seed=0, validation_fraction=0.1, test_fraction=0.15, **held_out)
    assert len(getattr(splits, name)) == 12
    drawn = splits.test if name == "validation" else splits.validation
    assert len(drawn) in (9, 15)
    assert len(splits.train) + len(drawn) == 100
    assert f"{name} given" in splits.how


def test_a_label_that_lives_on_in_held_out_sets_only_is_refused() -> None:
    dataset = dataset_of(TASK, ["one", "two", "three", "four"], ["a", "a", "b", "c"])
    test = dataset_of(TASK, ["THREE", "other"], ["b", "a"])
    with pytest.raises(DataError) as caught:
        split(dataset, seed=0, validation_fraction=0.1, test_fraction=0.1, test=test)
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("no-training-rows", 'memory:3, column "label"')


@pytest.mark.parametrize("count", [0, 2, 6])
def test_too_few_rows_are_refused(count: int) -> None:
    with pytest.raises(DataError, match="too-few-rows"):
        standard(data(count))


def test_an_empty_given_set_is_refused() -> None:
    with pytest.raises(DataError, match="test set would be empty"):
        split(data(), seed=0, validation_fraction=0.1, test_fraction=0.1, test=data(0))


def test_three_texts_of_a_label_are_enough() -> None:
    splits = standard(data(9))
    assert [len(part) for part in parts(splits)] == [3, 3, 3]


def test_a_contradictory_label_keeps_a_training_row() -> None:
    for seed in range(20):
        dataset = dataset_of(
            TASK, [f"text {number}" for number in range(40)] + ["text 3"], ["a"] * 40 + ["b"]
        )
        assert "b" in standard(dataset, seed).train.targets


TEXTS = st.sampled_from(
    ["one", "One", "two ", "two", "three", "x", "X  y", "x y", "", "ñ", "Ñ", *map(str, range(20))]
)
ROWS = st.lists(st.tuples(TEXTS, st.sampled_from("abc")), min_size=1, max_size=60)
FRACTIONS = st.floats(0.01, 0.49)


@settings(deadline=None)
@given(
    rows=ROWS,
    held=ROWS,
    seed=st.integers(0, 2**31 - 1),
    test_fraction=FRACTIONS,
    validation_fraction=FRACTIONS,
    given_test=st.booleans(),
    given_validation=st.booleans(),
)
def test_splits_never_share_a_text(
    rows: list[tuple[str, str]],
    held: list[tuple[str, str]],
    seed: int,
    test_fraction: float,
    validation_fraction: float,
    given_test: bool,
    given_validation: bool,
) -> None:
    dataset, other = (
        dataset_of(TASK, [text for text, _ in each], [label for _, label in each]) for each in (rows, held)
    )
    try:
        splits = split(
            dataset,
            seed=seed,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            validation=other if given_validation else None,
            test=other.take(range(0, len(other), 2)) if given_test else None,
        )
    except DataError:
        return
    train, validation, test = (keys(part) for part in parts(splits))
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert set(splits.train.targets) == set(dataset.targets)
    if not given_test and not given_validation:
        assert len(splits.train) + len(splits.validation) + len(splits.test) == len(dataset)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    seed=st.integers(0, 99),
    test_fraction=FRACTIONS,
    validation_fraction=FRACTIONS,
)
def test_fractions_are_hit_within_one_text_of_each_label(
    sizes: list[int], seed: int, test_fraction: float, validation_fraction: float
) -> None:
    rows = [(f"{label} {number}", str(label)) for label, size in enumerate(sizes) for number in range(size)]
    dataset = dataset_of(Task(), [text for text, _ in rows], [label for _, label in rows])
    try:
        splits = split(
            dataset, seed=seed, validation_fraction=validation_fraction, test_fraction=test_fraction
        )
    except DataError:
        assert max(sizes) < 3 or sum(sizes) < 8
        return
    wanted = {"test": test_fraction, "validation": validation_fraction}
    for name, fraction in wanted.items():
        counts: dict[str | None, int] = defaultdict(int)
        for target in getattr(splits, name).targets:
            counts[target] += 1
        assert all(abs(counts[str(label)] - size * fraction) <= 1 for label, size in enumerate(sizes))


def test_real_data_is_split(shared_data: Path) -> None:
    dataset = read(shared_data / "bbc_news" / "train.parquet")
    splits = standard(dataset)
    whole, held = dataset.label_counts, splits.test.label_counts
    assert all(abs(held[label] / whole[label] - 0.15) < 0.03 for label in whole)
    assert not keys(splits.train) & keys(splits.test)
