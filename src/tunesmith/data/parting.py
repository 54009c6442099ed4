"""Data and what is asked of its split -> the splits: drawn, by group, by time, or as saved before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tunesmith.data.columns import column_values
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.data.drawing import TEST, VALIDATION, folds_of
from tunesmith.data.facts import facts_of
from tunesmith.data.saved_split import SavedSplit, open_split
from tunesmith.data.split import counted, split, splits_of
from tunesmith.data.times import seconds_of
from tunesmith.data.units import Units, units_of
from tunesmith.errors import DataError, Problem

__all__ = ["Parting", "folded", "parted"]


@dataclass(frozen=True, slots=True)
class Parting:
    """How rows become train, validation and test."""

    seed: int
    validation_fraction: float
    test_fraction: float
    group_column: str | None = None
    """Rows with the same value in this column stay together"""
    time_column: str | None = None
    """The latest rows by this column are the test's, those before them the validation's"""
    saved: str | None = None
    """A file that `tunesmith split` has written, or a run's split.json"""
    fold: int | None = None
    """Of a saved split in folds, the one that is the test, from 1"""


def parted(
    dataset: Dataset, source: str, held_out: Mapping[str, Dataset], sources: Mapping[str, str], how: Parting
) -> Splits:
    """Part the data, read from `source`, beside the sets that are given, read from `sources`.

    Texts that say nearly the same are not parted, up to 100,000 texts. Raises DataError where the columns
    are not there, the split is of other data, or a part would be empty.
    """
    _refuse_both(how, held_out)
    if how.saved is not None:
        return _as_saved(dataset, open_split(Path(how.saved), dataset), how)
    times = _times(dataset, source, how.time_column)
    return split(
        dataset,
        seed=how.seed,
        validation_fraction=how.validation_fraction,
        test_fraction=how.test_fraction,
        validation=held_out.get("validation"),
        test=held_out.get("test"),
        units=_units(dataset, source, held_out, sources, how.group_column),
        times=times,
    )


def folded(dataset: Dataset, source: str, how: Parting, folds: int) -> tuple[npt.NDArray[np.int64], str]:
    """(rows,) the fold of each row, from 0, and one sentence on how they came about."""
    units = _units(dataset, source, {}, {}, how.group_column)
    facts = replace(facts_of(dataset), keys=units.data)
    found = folds_of(facts, counted(units.texts), how.seed, folds)
    if np.unique(found).size < folds:
        fix = "add rows, or ask for fewer folds"
        what = f"there are too few different texts, or groups, for {folds} folds"
        raise DataError(Problem("too-few-rows", what, source, fix))
    return found, f"{folds} folds drawn with seed {how.seed}, stratified by label, {units.joined()} together"


def _refuse_both(how: Parting, held_out: Mapping[str, Dataset]) -> None:
    problems = []
    if how.group_column and how.time_column:
        what = "rows are parted by group or by time, not by both"
        problems.append(Problem("bad-parting", what, "the recipe", "leave group_column or time_column out"))
    if how.saved and (how.group_column or how.time_column or held_out):
        what = "a saved split says which rows are for what: no file and no column can say it, too"
        fix = "leave out --test, --validation, group_column and time_column, or the split"
        problems.append(Problem("bad-parting", what, "the recipe", fix))
    if how.fold is not None and not how.saved:
        fix = "name the file of the folds with --split; `tunesmith split --folds` writes one"
        problems.append(Problem("bad-parting", "a fold is of no split", "the recipe", fix))
    if problems:
        raise DataError(problems)


def _times(dataset: Dataset, source: str, column: str | None) -> npt.NDArray[np.float64] | None:
    if column is None:
        return None
    return seconds_of(column_values(source, [column], dataset)[column], dataset, column)


def _units(
    dataset: Dataset,
    source: str,
    held_out: Mapping[str, Dataset],
    sources: Mapping[str, str],
    column: str | None,
) -> Units:
    if column is None:
        return units_of(dataset, held_out)
    groups = {"": column_values(source, [column], dataset)[column]}
    groups |= {
        name: column_values(sources[name], [column], other)[column] for name, other in held_out.items()
    }
    return units_of(dataset, held_out, groups=groups)


def _as_saved(dataset: Dataset, saved: SavedSplit, how: Parting) -> Splits:
    if saved.part_of_row is not None:
        if how.fold is not None:
            what = "the split has parts, and no folds"
            raise DataError(Problem("bad-parting", what, str(saved.path), "leave the fold out"))
        parts = saved.part_of_row
        empty = set() if (parts == VALIDATION).any() else {"validation"}
        return splits_of(dataset, parts, saved.seed, f"as saved: {saved.how}", empty=empty)
    return _fold(dataset, saved, how)


def _fold(dataset: Dataset, saved: SavedSplit, how: Parting) -> Splits:
    """One fold is the test; validation rows are drawn from the others."""
    assert saved.fold_of_row is not None
    if how.fold is None or not 1 <= how.fold <= saved.folds:
        what = f"the split has {saved.folds} folds, and which of them is the test is not said"
        fix = f"say it: --fold 1, and so on up to {saved.folds}"
        raise DataError(Problem("bad-parting", what, str(saved.path), fix))
    test = np.flatnonzero(saved.fold_of_row == how.fold - 1)
    rest = np.flatnonzero(saved.fold_of_row != how.fold - 1)
    inner = split(
        dataset.take(rest),
        seed=how.seed,
        validation_fraction=how.validation_fraction,
        test_fraction=0.0,
        test=dataset.take(test),
        units=units_of(dataset.take(rest), {"test": dataset.take(test)}),
    )
    parts = np.full(len(dataset), TEST, np.int8)
    parts[rest] = inner.part_of_row
    told = f"fold {how.fold} of {saved.folds} is the test ({saved.how})"
    empty = set() if how.validation_fraction else {"validation"}
    if how.validation_fraction:
        told += f"; validation drawn with seed {how.seed} from the others"
    return splits_of(dataset, parts, how.seed, told, empty=empty)
