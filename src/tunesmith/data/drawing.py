"""Rows -> the part of each: units are drawn by a hash, in even shares of every label."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tunesmith.data.facts import Facts
from tunesmith.data.stratify import stratified
from tunesmith.data.texts import KEY_BYTES

__all__ = [
    "FEWEST_TO_SHARE",
    "LEFT_OUT",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Parts",
    "drawn",
    "drawn_by_time",
    "folds_of",
]

TRAIN, VALIDATION, TEST = 0, 1, 2
LEFT_OUT = -1
"""The part of rows that stand in a given or later part."""
FEWEST_TO_SHARE = 3
"""With fewer distinct texts, a label gives none away to a part that would otherwise be empty."""

_HASHED_AT_ONCE = 1 << 16

Indices = npt.NDArray[np.int64]
Parts = npt.NDArray[np.int8]


def drawn(
    pool: Facts,
    counted: Indices | None,
    seed: int,
    test_fraction: float,
    validation_fraction: float,
    *,
    grouped: bool = False,
) -> Parts:
    """(rows,) the part of each row of the pool, whose `keys` say which rows belong together.

    `counted` (rows,) is 1 for the first row of each distinct text, else 0; None: each unit is one text. Units
    that are `grouped` may hold texts of any labels.
    """
    first_row, unit_of_row, sizes = _units(pool, counted)
    part_of_unit = np.full(first_row.size, TRAIN, np.int8)
    order = np.argsort(_hashes(pool.keys[first_row], seed), kind="stable")
    kind = pool.dataset.task.kind
    if kind == "multi_label" or (grouped and kind == "single_label"):
        fractions = (1 - validation_fraction - test_fraction, validation_fraction, test_fraction)
        labels = _labels_of_units(pool, unit_of_row, first_row, several=grouped)
        part_of_unit[order] = stratified(
            [labels[unit] for unit in order.tolist()], fractions, sizes[order].tolist()
        )
    else:
        # what is written is no stratum
        by_label = _by_label(order, pool.codes[first_row]) if kind == "single_label" else [order]
        _draw_by_label(part_of_unit, by_label, sizes, test_fraction, validation_fraction)
    part_of_row = part_of_unit[unit_of_row]
    _keep_every_label(pool, part_of_row)
    return part_of_row


def folds_of(pool: Facts, counted: Indices | None, seed: int, folds: int) -> Indices:
    """(rows,) the fold of each row, from 0, in even shares of every label."""
    first_row, unit_of_row, sizes = _units(pool, counted)
    order = np.argsort(_hashes(pool.keys[first_row], seed), kind="stable")
    if pool.dataset.task.writes:
        labels: list[list[str]] = [[] for _ in range(first_row.size)]
    else:
        labels = _labels_of_units(pool, unit_of_row, first_row, several=True)
    fold_of_unit = np.empty(first_row.size, np.int64)
    fold_of_unit[order] = stratified(
        [labels[unit] for unit in order.tolist()], [1 / folds] * folds, sizes[order].tolist()
    )
    return fold_of_unit[unit_of_row]


def _units(pool: Facts, counted: Indices | None) -> tuple[Indices, npt.NDArray[np.int32], Indices]:
    """The first row of each unit, the unit of each row, and the texts of each unit."""
    rows, first = pool.grouped
    first_row = rows[first]
    unit_of_row = np.empty(rows.size, np.int32)
    unit_of_row[rows] = np.cumsum(first, dtype=np.int32) - 1
    if counted is None:
        return first_row, unit_of_row, np.ones(first_row.size, np.int64)
    sizes = np.bincount(unit_of_row, weights=counted, minlength=first_row.size)
    return first_row, unit_of_row, sizes.astype(np.int64)


def drawn_by_time(times: npt.NDArray[np.float64], test_fraction: float, validation_fraction: float) -> Parts:
    """(rows,) the part of each row: the latest are the test's, those before them the validation's.

    Rows of one moment stay together, in the later part.
    """
    order = np.argsort(times, kind="stable")
    parts, ascending = np.full(times.size, TRAIN, np.int8), times[order]
    end = times.size
    for part, fraction in ((TEST, test_fraction), (VALIDATION, validation_fraction)):
        if not fraction:
            continue
        start = end - max(1, math.floor(times.size * fraction + 0.5))
        if start <= 0:
            break
        start = int(np.searchsorted(ascending, ascending[start]))
        parts[order[start:end]] = part
        end = start
    return parts


def _labels_of_units(
    pool: Facts, unit_of_row: npt.NDArray[np.int32], first_row: Indices, *, several: bool
) -> list[list[str]]:
    """The labels of each unit: of all its rows where it may hold `several` kinds, else of its first."""
    labels: list[list[str]] = [[] for _ in range(first_row.size)]
    counted = np.ones(len(pool.keys), np.bool_) if several else np.isin(np.arange(len(pool.keys)), first_row)
    for row, code in zip(pool.bearers.tolist(), pool.borne.tolist(), strict=True):
        if counted[row]:
            labels[unit_of_row[row]].append(pool.labels[code])
    return labels


def _draw_by_label(
    part_of_unit: Parts,
    by_label: list[Indices],
    sizes: Indices,
    test_fraction: float,
    validation_fraction: float,
) -> None:
    totals = [int(sizes[units].sum()) for units in by_label]
    wanted = zip(by_label, _shares(totals, test_fraction), _shares(totals, validation_fraction), strict=True)
    for units, tests, validations in wanted:
        left = _given_away(part_of_unit, TEST, units[: units.size - 1], sizes, tests)
        _given_away(part_of_unit, VALIDATION, left, sizes, validations)


def _given_away(part_of_unit: Parts, part: int, units: Indices, sizes: Indices, wanted: int) -> Indices:
    """Give the first units that come to `wanted` texts to a part; returns those that are left."""
    if (sizes[units] == 1).all():
        part_of_unit[units[:wanted]] = part
        return units[wanted:]
    left, missing = [], wanted
    for unit, size in zip(units.tolist(), sizes[units].tolist(), strict=True):
        # a large unit that would overshoot by more than it helps is passed over
        if size <= 2 * missing and missing > 0:
            part_of_unit[unit] = part
            missing -= size
        else:
            left.append(unit)
    return np.asarray(left, np.int64)


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


def _by_label(order: Indices, label_of_unit: npt.NDArray[np.int32]) -> list[Indices]:
    """The units of each label, in order."""
    sorted_by_label = order[np.argsort(label_of_unit[order], kind="stable")]
    labels = label_of_unit[sorted_by_label]
    return np.split(sorted_by_label, np.flatnonzero(labels[1:] != labels[:-1]) + 1)


def _shares(sizes: Sequence[int], fraction: float) -> list[int]:
    """How many distinct texts of each label go to a part: the fraction, but never none of every label."""
    shares = [math.floor(size * fraction + 0.5) for size in sizes]
    if fraction and not any(shares):
        return [int(size >= FEWEST_TO_SHARE) for size in sizes]
    return shares


def _keep_every_label(pool: Facts, part_of_row: Parts) -> None:
    """Move a unit of each label that has no training row to train.

    Only a label all of whose texts also stand under other labels, or in one unit, can need it.
    """
    part_of_pair = part_of_row[pool.bearers]
    for code in np.setdiff1d(pool.borne, pool.borne[part_of_pair == TRAIN]):
        row = pool.bearers[np.argmax(pool.borne == code)]
        part_of_row[pool.keys == pool.keys[row]] = TRAIN
