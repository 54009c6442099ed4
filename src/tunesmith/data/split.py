"""Seeded, stratified splits that never part equal texts."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset, Splits
from tunesmith.data.drawing import (
    FEWEST_TO_SHARE,
    LEFT_OUT,
    TEST,
    TRAIN,
    VALIDATION,
    Parts,
    drawn,
    drawn_by_time,
)
from tunesmith.data.facts import Facts, facts_of
from tunesmith.data.problems import grouped, shown
from tunesmith.data.texts import Keys, among
from tunesmith.data.units import Units
from tunesmith.errors import DataError, Problem
from tunesmith.task import Task

__all__ = ["counted", "split", "splits_of"]

# of all labels, those of which a part has none before texts that are nearly the same may part after all
_MANY = 0.05

Times = npt.NDArray[np.float64]


def split(
    dataset: Dataset,
    *,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    validation: Dataset | None = None,
    test: Dataset | None = None,
    units: Units | None = None,
    times: Times | None = None,
) -> Splits:
    """Part the data into train, validation and test, of which the last two may be given.

    Within each label the distinct texts are ordered by a hash of seed and text, so that the outcome depends
    neither on the platform nor, where equal texts bear one label, on the order of the rows; the first go to
    test, the next to validation; texts of several labels are dealt out by `stratified`. What `units` join is
    not parted; without them equal texts are one. With `times` (rows,) the latest rows are the test's, those
    before them the validation's, whatever their labels. What stands in a given or later part is left out of
    the earlier ones. Every label keeps a training row. A fraction of 0 leaves its part empty.
    Raises DataError where a label cannot keep a row, or where another part would be empty.
    """
    fractions = (
        test_fraction if test is None else 0.0,
        validation_fraction if validation is None else 0.0,
    )
    return _split(_Wish(dataset, validation, test, seed, fractions, units, times))


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be parted, and how."""

    dataset: Dataset
    validation: Dataset | None
    test: Dataset | None
    seed: int
    fractions: tuple[float, float]
    """Of all rows that are drawn for the test and for validation; 0 where a set is given"""
    units: Units | None
    times: Times | None

    def facts(self, name: str) -> Facts | None:
        """Those of the data, or of a given set, with what belongs together as keys."""
        dataset = {"train": self.dataset, "validation": self.validation, "test": self.test}[name]
        if dataset is None:
            return None
        facts = facts_of(dataset)
        if self.units is None:
            return facts
        return replace(facts, keys=self.units.data if name == "train" else self.units.given[name])


def _split(wish: _Wish) -> Splits:
    whole, given_test = wish.facts("train"), wish.facts("test")
    assert whole is not None
    given_validation = _apart(wish.facts("validation"), given_test)
    left = np.ones(len(wish.dataset), np.bool_)
    for other in (given_validation, given_test):
        if other is not None:
            left &= ~among(whole.keys, other.keys)
    rows = np.flatnonzero(left)
    pool = whole if left.all() else whole.take(rows)
    part_of_row = np.full(left.size, LEFT_OUT, np.int8)
    part_of_row[rows] = _parts(wish, pool, rows)
    looser = wish.units.looser if wish.units is not None else None
    if looser is not None and _lacks(pool, part_of_row[rows], wish.fractions):
        return _split(replace(wish, units=looser))
    _refuse_lost_labels(whole, part_of_row)
    held = [None if facts is None else facts.dataset for facts in (given_validation, given_test)]
    how = _how(wish, int((part_of_row == LEFT_OUT).sum()), held[0])
    drawn = zip(("test", "validation"), (wish.test, wish.validation), wish.fractions, strict=True)
    empty = {name for name, given, fraction in drawn if given is None and not fraction}
    return splits_of(wish.dataset, part_of_row, wish.seed, how, validation=held[0], test=held[1], empty=empty)


def splits_of(
    dataset: Dataset,
    part_of_row: Parts,
    seed: int,
    how: str,
    *,
    validation: Dataset | None = None,
    test: Dataset | None = None,
    empty: Set[str] = frozenset(),
) -> Splits:
    """The parts of the rows, (rows,), beside sets that are given; raises DataError where one is empty.

    Those named by `empty` may be.
    """
    drawn_sets = [dataset.take(np.flatnonzero(part_of_row == part)) for part in (TRAIN, VALIDATION, TEST)]
    given = (None, validation, test)
    chosen = [own if other is None else other for own, other in zip(drawn_sets, given, strict=True)]
    # label ids are the task's: every part must bear the same
    parts = [replace(part, task=dataset.task) for part in chosen]
    _refuse_empty(parts, dataset.task, allowed=empty)
    return Splits(parts[0], parts[1], parts[2], seed, how, part_of_row)


def _apart(facts: Facts | None, other: Facts | None) -> Facts | None:
    """The rows that belong together with none of `other`."""
    if facts is None or other is None:
        return facts
    left = ~among(facts.keys, other.keys)
    return facts if left.all() else facts.take(np.flatnonzero(left))


def _parts(wish: _Wish, pool: Facts, rows: npt.NDArray[np.int64]) -> Parts:
    """(rows of the pool,) the part of each."""
    if wish.times is not None:
        return _without_later(pool, drawn_by_time(wish.times[rows], *wish.fractions))
    if wish.units is None:
        return drawn(pool, None, wish.seed, *wish.fractions)
    texts = counted(wish.units.texts[rows])
    return drawn(pool, texts, wish.seed, *wish.fractions, grouped=wish.units.grouped)


def counted(keys: Keys) -> npt.NDArray[np.int64]:
    """(rows,) 1 for the first row of each distinct text, else 0."""
    found = np.zeros(keys.size, np.int64)
    found[np.unique(keys, return_index=True)[1]] = 1
    return found


def _without_later(pool: Facts, parts: Parts) -> Parts:
    """Leave out of each part what belongs together with a later one."""
    for part, later in ((VALIDATION, [TEST]), (TRAIN, [VALIDATION, TEST])):
        mine = parts == part
        parts[mine & among(pool.keys, pool.keys[np.isin(parts, later)])] = LEFT_OUT
    return parts


def _lacks(pool: Facts, parts: Parts, fractions: tuple[float, float]) -> bool:
    """Whether a part that is drawn is empty, or has no row of labels that many rows bear."""
    counts = [
        np.bincount(pool.borne[parts[pool.bearers] == part], minlength=len(pool.labels)) for part in range(3)
    ]
    total = counts[0] + counts[1] + counts[2]
    for part, fraction in ((TEST, fractions[0]), (VALIDATION, fractions[1])):
        lacking = (counts[part] == 0) & (total * fraction >= 1)
        many = total[lacking].sum() > _MANY * max(1, total.sum())
        if fraction and (many or not (parts == part).any()):
            return True
    return False


def _refuse_lost_labels(whole: Facts, part_of_row: Parts) -> None:
    trained = whole.borne[part_of_row[whole.bearers] == TRAIN]
    kept = np.bincount(trained, minlength=len(whole.labels))
    counts = zip(whole.counts.items(), kept.tolist(), strict=True)
    lost = {label: count for (label, count), left in counts if count and not left}
    if lost:
        raise DataError(_lost(whole, label, count) for label, count in lost.items())


def _lost(whole: Facts, label: str, count: int) -> Problem:
    what = f"no row of {shown(label)} is left to train on: all also stand in the validation or test set"
    fix = "take them out of the validation and test sets, or add other examples"
    where = whole.where(whole.rows_of(label)[0])
    return grouped("no-training-rows", what, where, fix, column=whole.dataset.task.target_column, count=count)


def _refuse_empty(parts: list[Dataset], task: Task, allowed: Set[str]) -> None:
    whose = "there must be" if task.writes else "a label needs"
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        if not len(part) and name not in allowed:
            fix = f"add rows: {whose} {FEWEST_TO_SHARE} different texts; or name a file for this set"
            raise DataError(Problem("too-few-rows", f"the {name} set would be empty", "0 rows", fix))


def _how(wish: _Wish, left_out: int, validation: Dataset | None) -> str:
    given = {"validation": wish.validation, "test": wish.test}
    shares = {"validation": wish.fractions[1], "test": wish.fractions[0]}
    names = [name for name, dataset in given.items() if dataset is not None]
    told, to_draw = [], [name for name, share in shares.items() if share]
    if to_draw:
        told.append(f"{' and '.join(to_draw)} {_drawn_how(wish)}")
    if names:
        told.append(f"{' and '.join(names)} given")
    if "validation" not in (*to_draw, *names):
        told.append("no row is kept for validation")
    dropped = {"train": left_out, "validation": 0}
    if wish.validation is not None and validation is not None:
        dropped["validation"] = len(wish.validation) - len(validation)
    told += _left_out(dropped, "a later part" if wish.times is not None else "a given set", wish)
    return "; ".join(told)


def _left_out(counts: Mapping[str, int], where: str, wish: _Wish) -> list[str]:
    nearly = "belongs to" if wish.units is not None and wish.units.grouped else "also stands in"
    what = ", or nearly the same, " if wish.units is not None and wish.units.near else " "
    return [
        f"{'1 row' if count == 1 else f'{count:,} rows'} of {name} left out whose text{what}{nearly} {where}"
        for name, count in counts.items()
        if count
    ]


def _drawn_how(wish: _Wish) -> str:
    units = wish.units
    if wish.times is not None:
        return "are the latest rows"
    what, strata = ("prompts", "") if wish.dataset.task.writes else ("texts", "stratified by label, ")
    same = units.joined(what) if units is not None else f"equal {what}"
    return f"drawn with seed {wish.seed}, {strata}{same} together"
