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
from tunesmith.data.texts import KEY_BYTES, among
from tunesmith.errors import DataError, Problem
from tunesmith.task import Task

__all__ = ["split"]

_TRAIN, _VALIDATION, _TEST = 0, 1, 2
# with fewer distinct texts, a label gives none away to a part that would otherwise be empty
_FEWEST_TO_SHARE = 3

_HASHED_AT_ONCE = 1 << 16

Indices = npt.NDArray[np.int64]
Parts = npt.NDArray[np.int8]


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
    part_of_row = _drawn(pool, seed, *fractions)
    _refuse_lost_labels(whole, pool, part_of_row)
    train, *held_out = (np.flatnonzero(part_of_row == part) for part in (_TRAIN, _VALIDATION, _TEST))
    given = zip((given_validation, given_test), held_out, strict=True)
    others = (pool.dataset.take(rows) if facts is None else facts.dataset for facts, rows in given)
    # label ids are the task's: every part must bear the same
    parts = [replace(part, task=dataset.task) for part in (pool.dataset.take(train), *others)]
    unvalidated = validation is None and not validation_fraction
    _refuse_empty(parts, dataset.task, allowed={"validation"} if unvalidated else set())
    left_out = {
        "train": len(dataset) - len(pool.dataset),
        "validation": 0 if validation is None else len(validation) - len(parts[1]),
    }
    drawn = [] if unvalidated or validation is not None else ["validation"]
    drawn += ["test"] if test is None else []
    given_names = [name for name, part in (("validation", validation), ("test", test)) if part is not None]
    how = _how(dataset.task, seed, drawn, given_names, left_out)
    return Splits(parts[0], parts[1], parts[2], seed, how)


def _apart(facts: Facts, other: Facts | None) -> Facts:
    """The rows whose text does not stand in `other`."""
    if other is None:
        return facts
    left = ~among(facts.keys, other.keys)
    return facts if left.all() else facts.take(np.flatnonzero(left))


def _drawn(pool: Facts, seed: int, test_fraction: float, validation_fraction: float) -> Parts:
    """(rows,) the part of each row of the pool."""
    rows, first = pool.grouped
    first_row = rows[first]  # of each distinct text
    part_of_text = np.full(first_row.size, _TRAIN, np.int8)
    order = np.argsort(_hashes(pool.keys[first_row], seed), kind="stable")
    kind = pool.dataset.task.kind
    if kind == "multi_label":
        fractions = (1 - validation_fraction - test_fraction, validation_fraction, test_fraction)
        part_of_text[order] = stratified(_labels_of_texts(pool, first_row[order]), fractions)
    else:
        # what is written is no stratum
        by_label = _by_label(order, pool.codes[first_row]) if kind == "single_label" else [order]
        _draw_by_label(part_of_text, by_label, test_fraction, validation_fraction)
    part_of_row = np.empty(rows.size, np.int8)
    part_of_row[rows] = part_of_text[np.cumsum(first, dtype=np.int32) - 1]
    _keep_every_label(pool, part_of_row)
    return part_of_row


def _labels_of_texts(pool: Facts, rows: Indices) -> list[list[str]]:
    """The labels of the texts of these rows."""
    labels: list[list[str]] = [[] for _ in range(len(pool.dataset))]
    for row, code in zip(pool.bearers.tolist(), pool.borne.tolist(), strict=True):
        labels[row].append(pool.labels[code])
    return [labels[row] for row in rows.tolist()]


def _draw_by_label(
    part_of_text: Parts, by_label: list[Indices], test_fraction: float, validation_fraction: float
) -> None:
    sizes = [texts.size for texts in by_label]
    wanted = zip(by_label, _shares(sizes, test_fraction), _shares(sizes, validation_fraction), strict=True)
    for texts, tests, validations in wanted:
        held_out = texts[: texts.size - 1]  # the last stays in train, whatever the fractions
        part_of_text[held_out[:tests]] = _TEST
        part_of_text[held_out[tests : tests + validations]] = _VALIDATION


def _hashes(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    salt, hashes = seed.to_bytes(8, "little"), np.empty(keys.size, np.uint64)
    for start in range(0, keys.size, _HASHED_AT_ONCE):
        some = _bytes_of_each(keys[start : start + _HASHED_AT_ONCE])
        digests = b"".join(hashlib.blake2b(key, key=salt, digest_size=8).digest() for key in some)
        hashes[start : start + len(some)] = np.frombuffer(digests, "<u8")
    return hashes


def _bytes_of_each(keys: npt.NDArray[np.uint64]) -> list[bytes]:
    data = keys.astype("<u8").tobytes()
    return [data[at : at + KEY_BYTES] for at in range(0, len(data), KEY_BYTES)]


def _by_label(order: Indices, label_of_text: npt.NDArray[np.int32]) -> list[Indices]:
    """The texts of each label, in order."""
    sorted_by_label = order[np.argsort(label_of_text[order], kind="stable")]
    labels = label_of_text[sorted_by_label]
    return np.split(sorted_by_label, np.flatnonzero(labels[1:] != labels[:-1]) + 1)


def _shares(sizes: list[int], fraction: float) -> list[int]:
    """How many distinct texts of each label go to a part: the fraction, but never none of every label."""
    shares = [math.floor(size * fraction + 0.5) for size in sizes]
    if fraction and not any(shares):
        return [int(size >= _FEWEST_TO_SHARE) for size in sizes]
    return shares


def _keep_every_label(pool: Facts, part_of_row: Parts) -> None:
    """Move a text of each label that has no training row to train.

    Only a label all of whose texts also stand under other labels can need it.
    """
    part_of_pair = part_of_row[pool.bearers]
    for code in np.setdiff1d(pool.borne, pool.borne[part_of_pair == _TRAIN]):
        row = pool.bearers[np.argmax(pool.borne == code)]
        part_of_row[pool.keys == pool.keys[row]] = _TRAIN


def _refuse_lost_labels(whole: Facts, pool: Facts, part_of_row: Parts) -> None:
    trained = pool.borne[part_of_row[pool.bearers] == _TRAIN]
    kept = np.bincount(trained, minlength=len(pool.labels))
    counts = zip(whole.counts.items(), kept.tolist(), strict=True)
    lost = {label: count for (label, count), left in counts if count and not left}
    if lost:
        raise DataError(_lost(whole, label, count) for label, count in lost.items())


def _lost(whole: Facts, label: str, count: int) -> Problem:
    what = f"no row of {shown(label)} is left to train on: all also stand in the validation or test set"
    fix = "take them out of the validation and test sets, or add other examples"
    where = whole.where(whole.rows_of(label)[0])
    return grouped("no-training-rows", what, where, fix, column=whole.dataset.task.target_column, count=count)


def _refuse_empty(parts: Sequence[Dataset], task: Task, allowed: Set[str]) -> None:
    whose = "there must be" if task.writes else "a label needs"
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        if not len(part) and name not in allowed:
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
