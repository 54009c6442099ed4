"""Labels that were exchanged are doubted, and what the data confuses is named."""

from __future__ import annotations

import numpy as np

from tunesmith.audit.noise import label_noise
from tunesmith.audit.types import LabelNoise
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.facts import facts_of
from tunesmith.task import Task

WORDS = {
    "sports": ["striker", "keeper", "goal", "match", "coach", "league", "referee", "penalty"],
    "politics": ["senate", "minister", "vote", "bill", "treaty", "party", "budget", "mayor"],
    "film": ["actor", "scene", "director", "screen", "comedy", "premiere", "plot", "studio"],
}
TASK = Task(labels=tuple(WORDS))


def texts(label: str, count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join([*random.choice(WORDS[label], 6), f"{label}{number}"]) for number in range(count)]


def data(wrong: tuple[int, ...] = (), count: int = 40) -> Dataset:
    rows = [(text, label) for at, label in enumerate(WORDS) for text in texts(label, count, at)]
    order = list(WORDS)
    labels = [
        order[(order.index(label) + 1) % 3] if row in wrong else label for row, (_, label) in enumerate(rows)
    ]
    return dataset_of(TASK, [text for text, _ in rows], labels)


def found(dataset: Dataset) -> LabelNoise:
    noise = label_noise(facts_of(dataset), 0)
    assert noise is not None
    return noise


def test_exchanged_labels_are_doubted_first_and_counted() -> None:
    noise = found(data(wrong=(3, 50, 100)))
    assert [doubt.where for doubt in noise.doubts[:3]] != []
    assert {doubt.where for doubt in noise.doubts[:3]} == {"memory:4", "memory:51", "memory:101"}
    by_row = {doubt.where: doubt for doubt in noise.doubts}
    assert (by_row["memory:4"].given, by_row["memory:4"].probable) == ("politics", "sports")
    assert 3 <= noise.doubtful <= 5
    assert noise.rows == 120
    assert noise.share == noise.doubtful / 120


def test_right_labels_are_not_doubted() -> None:
    assert found(data()).doubts == ()


def test_a_copy_bears_no_witness_for_its_label() -> None:
    dataset = data()
    again = dataset_of(
        TASK, [*dataset.texts, dataset.texts[0], dataset.texts[0]], [*dataset.targets, "film", "film"]
    )
    assert found(again).rows == 120


def test_labels_with_few_rows_and_little_data_are_left_alone() -> None:
    few = data(count=5)
    assert label_noise(facts_of(few), 0) is None
    rare = data()
    with_rare = dataset_of(
        Task(labels=(*WORDS, "rare")), [*rare.texts, "a rare thing"], [*rare.targets, "rare"]
    )
    assert found(with_rare).rows == 120


def test_labels_that_read_alike_are_confused() -> None:
    random = np.random.default_rng(1)
    mixed = [" ".join([*random.choice(WORDS["film"], 6), f"w{number}"]) for number in range(80)]
    rows = [*texts("sports", 40, 0), *mixed]
    labels = ["sports"] * 40 + ["film", "politics"] * 40
    (pair, *_) = found(dataset_of(TASK, rows, labels)).confused
    assert {pair.first, pair.second} == {"film", "politics"}
    assert pair.share > 0.1


def test_of_several_labels_the_missed_and_the_wrong_are_told() -> None:
    single = data()
    lists = [[label] for label in single.targets if label]
    lists[0] = ["politics"]
    lists[60] = ["politics", "film"]
    task = Task(kind="multi_label", labels=tuple(WORDS))
    noise = found(dataset_of(task, single.texts, [tuple(each) for each in lists]))
    told = {doubt.where: doubt for doubt in noise.doubts}
    assert "memory:1" in told
    assert "without" in f"{told['memory:1'].given} {told['memory:1'].probable}"
    assert (told["memory:61"].given, told["memory:61"].probable) == ("film", "without 'film'")
