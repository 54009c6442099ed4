"""Seeded, stratified splits that never part equal texts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset, Splits
from tunesmith.data.facts import Facts, facts_of
from tunesmith.data.problems import grouped, shown
from tunesmith.data.stratify import stratified
from tunesmith.data.texts import KEY_BYTES
from tunesmith.errors import DataError, Problem
from tunesmith.task import Task

__all__ = ["split"]

_TRAIN, _VALIDATION, _TEST = 0, 1, 2
# with fewer distinct texts, a label gives none away to a part that would otherwise be empty
_FEWEST_TO_SHARE = 3

Indices = npt.NDArray[np.int64]


def split(
    dataset: Dataset,
    *,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    validation: Dataset | None = None,
    test: Dataset | None = None,
) -> Splits:
    """Part the data into train, validation and test, of which the last two may be given.

    Within each label the distinct texts are ordered by a hash of seed and text, so that the outcome depends
    neither on the platform nor, where equal texts bear one label, on the order of the rows; the first go to
    test, the next to validation; texts of several labels are dealt out by `stratified`. What stands in a
    given test set is left out of the other parts, what stands in a given validation set out of train. Every
    label keeps a training row. A validation fraction of 0 leaves that part empty. Raises DataError where a
    label cannot keep a row, or where another part would be empty.
    """
    whole = facts_of(dataset)
    given_test = None if test is None else facts_of(test)
    given_validation = None if validation is None else _apart(facts_of(validation), given_test)
    pool = _apart(_apart(whole, given_validation), given_test)
    fractions = (test_fraction if test is None else 0.0, validation_fraction if validation is None else 0.0)
    train, drawn_validation, drawn_test = _drawn(pool, seed, *fractions)
    parts = (train, given_validation or drawn_validation, given_test or drawn_test)
    _refuse_lost_labels(whole, train)
    unvalidated = validation is None and not validation_fraction
    _refuse_empty(parts, dataset.task, allowed={"validation"} if unvalidated else set())
    left_out = {
        "train": len(dataset) - len(pool.dataset),
        "validation": 0 if validation is None else len(validation) - len(parts[1].dataset),
    }
    # label ids are the task's: every part must bear the same
    datasets = [replace(part.dataset, task=dataset.task) for part in parts]
    drawn = [] if unvalidated or validation is not None else ["validation"]
    drawn += ["test"] if test is None else []
    given = [name for name, part in (("validation", validation), ("test", test)) if part is not None]
    how = _how(dataset.task, seed, drawn, given, left_out)
    return Splits(datasets[0], datasets[1], datasets[2], seed, how)


def _apart(facts: Facts, other: Facts | None) -> Facts:
    """The rows whose text does not stand in `other`."""
    if other is None:
        return facts
    return facts.take(np.flatnonzero(~np.isin(facts.keys, other.keys)))


def _drawn(
    pool: Facts, seed: int, test_fraction: float, validation_fraction: float
) -> tuple[Facts, Facts, Facts]:
    """The rows of train, validation and test, each in the order of the pool."""
    keys, first_row, group_of_row = np.unique(pool.keys, return_index=True, return_inverse=True)
    part_of_group = np.full(keys.size, _TRAIN)
    order = np.argsort(_hashes(keys, seed), kind="stable")
    kind = pool.dataset.task.kind
    if kind == "multi_label":
        fractions = (1 - validation_fraction - test_fraction, validation_fraction, test_fraction)
        part_of_group = stratified(_labels_of_groups(pool, first_row, order), fractions)[np.argsort(order)]
    else:
        # what is written is no stratum
        by_label = _by_label(order, pool.codes[first_row]) if kind == "single_label" else [order]
        _draw_by_label(part_of_group, by_label, test_fraction, validation_fraction)
    _keep_every_label(pool, group_of_row, part_of_group)
    part_of_row = part_of_group[group_of_row]
    train, validation, test = (np.flatnonzero(part_of_row == part) for part in (_TRAIN, _VALIDATION, _TEST))
    return pool.take(train), pool.take(validation), pool.take(test)


def _labels_of_groups(pool: Facts, first_row: Indices, order: Indices) -> list[list[str]]:
    """The labels of each distinct text, those of its first row, in the order given."""
    labels: list[list[str]] = [[] for _ in range(len(pool.dataset))]
    for row, code in zip(pool.bearers.tolist(), pool.borne.tolist(), strict=True):
        labels[row].append(pool.labels[code])
    return [labels[row] for row in first_row[order].tolist()]


def _draw_by_label(
    part_of_group: Indices, by_label: list[Indices], test_fraction: float, validation_fraction: float
) -> None:
    sizes = [groups.size for groups in by_label]
    wanted = zip(by_label, _shares(sizes, test_fraction), _shares(sizes, validation_fraction), strict=True)
    for groups, tests, validations in wanted:
        held_out = groups[: groups.size - 1]  # the last stays in train, whatever the fractions
        part_of_group[held_out[:tests]] = _TEST
        part_of_group[held_out[tests : tests + validations]] = _VALIDATION


def _hashes(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    salt = seed.to_bytes(8, "little")
    digests = [hashlib.blake2b(key, key=salt, digest_size=8).digest() for key in _bytes_of_each(keys)]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _bytes_of_each(keys: npt.NDArray[np.uint64]) -> list[bytes]:
    data = keys.astype("<u8").tobytes()
    return [data[at : at + KEY_BYTES] for at in range(0, len(data), KEY_BYTES)]


def _by_label(order: Indices, label_of_group: npt.NDArray[np.int32]) -> list[Indices]:
    """The groups of each label, in order."""
    sorted_by_label = order[np.argsort(label_of_group[order], kind="stable")]
    labels = label_of_group[sorted_by_label]
    return np.split(sorted_by_label, np.flatnonzero(labels[1:] != labels[:-1]) + 1)


def _shares(sizes: list[int], fraction: float) -> list[int]:
    """How many distinct texts of each label go to a part: the fraction, but never none of every label."""
    shares = [math.floor(size * fraction + 0.5) for size in sizes]
    if fraction and not any(shares):
        return [int(size >= _FEWEST_TO_SHARE) for size in sizes]
    return shares


def _keep_every_label(pool: Facts, group_of_row: Indices, part_of_group: Indices) -> None:
    """Move a text of each label that has no training row to train.

    Only a label all of whose texts also stand under other labels can need it.
    """
    part_of_pair = part_of_group[group_of_row[pool.bearers]]
    for code in np.setdiff1d(pool.borne, pool.borne[part_of_pair == _TRAIN]):
        part_of_group[group_of_row[pool.bearers[np.argmax(pool.borne == code)]]] = _TRAIN


def _refuse_lost_labels(whole: Facts, train: Facts) -> None:
    kept = train.counts
    lost = {label: count for label, count in whole.counts.items() if count and not kept[label]}
    if lost:
        raise DataError(_lost(whole, label, count) for label, count in lost.items())


def _lost(whole: Facts, label: str, count: int) -> Problem:
    what = f"no row of {shown(label)} is left to train on: all also stand in the validation or test set"
    fix = "take them out of the validation and test sets, or add other examples"
    where = whole.where(whole.rows_of(label)[0])
    return grouped("no-training-rows", what, where, fix, column=whole.dataset.task.target_column, count=count)


def _refuse_empty(parts: Sequence[Facts], task: Task, allowed: Set[str]) -> None:
    whose = "there must be" if task.writes else "a label needs"
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        if not len(part.dataset) and name not in allowed:
            fix = f"add rows: {whose} {_FEWEST_TO_SHARE} different texts; or name a file for this set"
            raise DataError(Problem("too-few-rows", f"the {name} set would be empty", "0 rows", fix))


def _how(
    task: Task, seed: int, drawn: Sequence[str], given: Sequence[str], left_out: Mapping[str, int]
) -> str:
    told = []
    if drawn:
        together = "equal prompts together" if task.writes else "stratified by label, equal texts together"
        told.append(f"{' and '.join(drawn)} drawn with seed {seed}, {together}")
    if given:
        told.append(f"{' and '.join(given)} given")
    if "validation" not in (*drawn, *given):
        told.append("no row is kept for validation")
    for name, count in left_out.items():
        if count:
            rows = "1 row" if count == 1 else f"{count:,} rows"
            told.append(f"{rows} of {name} left out whose text also stands in a given set")
    return "; ".join(told)
