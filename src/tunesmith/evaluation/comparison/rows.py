"""Which test rows runs have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.data.texts import Keys
from tunesmith.errors import DataError, Problem
from tunesmith.evaluation.predictions import Predictions
from tunesmith.evaluation.types import Ints

__all__ = ["aligned"]

# an odd number: equal texts get numbers of their own
_STRIDE = np.uint64(0x9E3779B97F4A7C15)


def aligned(
    found: Sequence[Predictions], names: Sequence[str], *, shared: bool
) -> tuple[list[Predictions], list[int]]:
    """The answers of every run on the rows that all have, in the first's order, and how many each leaves out.

    A row is another where its text or its truth differs. Raises DataError where the runs are of other tasks,
    where their rows differ and `shared` does not allow it, and where no row is shared.
    """
    _refuse_other_tasks(found, names)
    ordered = [each.in_order(found[0].labels) for each in found]
    common = _common(ordered)
    left_out = [len(each) - common[0].size for each in ordered]
    if not common[0].size or (any(left_out) and not shared):
        raise DataError(_other_rows(ordered, names, common[0].size))
    return [each.take(rows) for each, rows in zip(ordered, common, strict=True)], left_out


def _refuse_other_tasks(found: Sequence[Predictions], names: Sequence[str]) -> None:
    first, fix = found[0], "compare runs of one task: the same kind, and the same labels"
    faults = []
    for name, other in zip(names[1:], found[1:], strict=True):
        if other.kind != first.kind:
            what = f"the task of {names[0]} is `{first.kind}`, that of {name} is `{other.kind}`"
            faults.append(Problem("another-task", what, name, fix))
        elif set(other.labels) != set(first.labels):
            apart = sorted(set(first.labels) ^ set(other.labels))
            named = ", ".join(map(repr, apart[:5])) + (", …" if len(apart) > 5 else "")
            what = f"{names[0]} and {name} have other labels: {named} stand in one of them only"
            faults.append(Problem("another-task", what, name, fix))
    if faults:
        raise DataError(faults)


def _common(found: Sequence[Predictions]) -> list[Ints]:
    """The rows of each run that all runs have, in the first's order."""
    numbered = [_numbered(each.keys) for each in found]
    kept = numbered[0]
    for keys in numbered[1:]:
        kept = np.intersect1d(kept, keys, assume_unique=True)
    places = [_places(keys, kept) for keys in numbered]
    same = np.ones(kept.size, np.bool_)
    for each, rows in zip(found, places, strict=True):
        equal = np.asarray(each.truth[rows] == found[0].truth[places[0]])
        same &= equal if equal.ndim == 1 else equal.all(axis=1)
    order = np.argsort(places[0][same], kind="stable")
    return [rows[same][order] for rows in places]


def _numbered(keys: Keys) -> Keys:
    """(rows,) keys that differ: of equal texts the second is another than the first."""
    order = np.argsort(keys, kind="stable")
    ascending = keys[order]
    begins = np.append(np.ones(min(1, keys.size), np.bool_), ascending[1:] != ascending[:-1])
    first = np.maximum.accumulate(np.where(begins, np.arange(keys.size), 0))
    number = np.empty(keys.size, np.uint64)
    number[order] = (np.arange(keys.size) - first).astype(np.uint64)
    return np.asarray(keys + number * _STRIDE)


def _places(keys: Keys, kept: Keys) -> Ints:
    order = np.argsort(keys, kind="stable")
    return np.asarray(order[np.searchsorted(keys[order], kept)])


def _other_rows(found: Sequence[Predictions], names: Sequence[str], shared: int) -> list[Problem]:
    """A problem for each run whose test rows are not the first's."""
    problems = []
    for name, other in zip(names[1:], found[1:], strict=True):
        both = _common([found[0], other])[0].size
        if both == len(found[0]) == len(other):
            continue
        what = (
            f"{names[0]} and {name} were judged on other rows: they share {both:,}"
            f" of {len(found[0]):,} and {len(other):,}"
        )
        fix = "train both with the same `--test` file" + (
            ", or add --shared to compare on the rows that all share" if shared else ""
        )
        problems.append(Problem("other-rows", what, name, fix))
    fix = "leave out the runs that were judged on other rows"
    return problems or [Problem("other-rows", "no row is shared by all runs", names[0], fix)]
