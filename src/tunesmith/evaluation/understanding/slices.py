"""Where a model is weak: its scores on the rows that have a length, a source or a column's value in common.

A slice's difference is its accuracy minus that of all other rows. So many differences are looked at that some
would seem large by chance: their intervals are those of 1 - 0.05 / (number of slices), after Bonferroni, so
that where no slice is truly worse, all reports but one in twenty mark none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.intervals import RESAMPLES, count_ids, draw
from tunesmith.evaluation.metrics import Counts, label_scores, resampled_label_scores
from tunesmith.evaluation.types import Bools, Floats, Ints
from tunesmith.evaluation.understanding.answers import Answers
from tunesmith.evaluation.understanding.proportions import share, share_difference
from tunesmith.evaluation.understanding.types import Slice, SliceTable, Span

__all__ = ["OTHER", "Cut", "by_column", "cuts_of", "slice_tables"]

OTHER = "other values"
_FEWEST_ROWS = 10
_MOST_SLICES = 12
_LEVEL = 0.95
_QUANTILES = (0.025, 0.975)
# bounds time: of large tests there are fewer resamples, which their many rows make up for
_MOST_DRAWN, _FEWEST_RESAMPLES = 1 << 24, 200

Kind = Literal["length", "cut", "source", "column"]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A way to part the rows: `ids` (rows,) are places in `names`."""

    by: str
    kind: Kind
    names: tuple[str, ...]
    ids: Ints


def cuts_of(test: Dataset, truncated: Bools, columns: Mapping[str, Sequence[str]]) -> tuple[Cut, ...]:
    """The ways to part the rows: by length, whether they were cut, by source, and by each of `columns`.

    A way that parts nothing is left out, unless it is a column, which was asked for.
    """
    found = [_by_length(test), _by_cut(truncated), _by_source(test)]
    asked = [by_column(name, values) for name, values in columns.items()]
    return tuple(cut for cut in found if cut is not None and len(cut.names) > 1) + tuple(asked)


def _by_length(test: Dataset) -> Cut:
    """Quartiles of the number of characters."""
    lengths = np.concatenate([[len(text) for text in texts] for texts in test.text_batches()])
    edges = np.unique(np.quantile(lengths, (0.25, 0.5, 0.75), method="inverted_cdf"))
    edges = edges[edges < lengths.max()]
    ids = np.searchsorted(edges, lengths, side="left")
    lows = [int(lengths.min()), *(int(edge) + 1 for edge in edges)]
    highs = [*(int(edge) for edge in edges), int(lengths.max())]
    names = tuple(f"{low:,} to {high:,} characters" for low, high in zip(lows, highs, strict=True))
    return Cut("length of the text", "length", names, ids)


def _by_cut(truncated: Bools) -> Cut | None:
    if truncated.all() or not truncated.any():
        return None
    return Cut("how much was read", "cut", ("the whole text", "its beginning"), truncated.astype(np.int64))


def _by_source(test: Dataset) -> Cut:
    files = test.table.column("file").unify_dictionaries()
    codes = np.concatenate([np.asarray(chunk.indices, np.int64) for chunk in files.chunks])
    return _by_value("source file", "source", files.chunk(0).dictionary.to_pylist(), codes)


def by_column(name: str, values: Sequence[str]) -> Cut:
    """Part the rows by a value of each."""
    places: dict[str, int] = {}
    codes = np.asarray([places.setdefault(value, len(places)) for value in values], np.int64)
    return _by_value(name, "column", list(places), codes)


def _by_value(by: str, kind: Kind, values: Sequence[str], codes: Ints) -> Cut:
    """The most frequent values, at most twelve; those of under ten rows, and all others, are joined.

    `codes` (rows,) are places in `values`.
    """
    rows = np.bincount(codes, minlength=len(values))
    common = np.argsort(-rows, kind="stable")[:_MOST_SLICES]
    common = common[rows[common] >= _FEWEST_ROWS]
    place = np.full(len(values), len(common))
    place[common] = np.arange(len(common))
    names = [values[code] for code in common.tolist()]
    ids = place[codes]
    if (ids == len(common)).any():
        names.append(OTHER)
    return Cut(by, kind, tuple(names), ids)


def slice_tables(answers: Answers, cuts: Sequence[Cut], seed: int) -> tuple[SliceTable, ...]:
    """The scores of every slice; the marks are corrected for all slices of all tables."""
    compared = sum(len(cut.names) for cut in cuts if len(cut.names) > 1)
    level = 1 - (1 - _LEVEL) / max(1, compared)
    return tuple(SliceTable(cut.by, cut.kind, _slices(answers, cut, level, seed)) for cut in cuts)


def _slices(answers: Answers, cut: Cut, level: float, seed: int) -> tuple[Slice, ...]:
    return tuple(
        _slice(answers, name, np.flatnonzero(cut.ids == index), level, seed)
        for index, name in enumerate(cut.names)
    )


def _slice(answers: Answers, name: str, rows: Ints, level: float, seed: int) -> Slice:
    hits, all_hits = int(answers.right[rows].sum()), int(answers.right.sum())
    others = len(answers) - len(rows)
    difference = share_difference(hits, len(rows), all_hits - hits, others, level=level) if others else None
    worse = difference is not None and difference.high < 0
    macro_f1 = _macro_f1(answers.truth[rows], answers.given[rows], seed)
    return Slice(name, len(rows), share(hits, len(rows)), macro_f1, difference, worse)


def _macro_f1(truth: Any, given: Any, seed: int) -> Span:
    """The mean F1 over the labels that occur, with its bootstrap interval; both are sparse (rows, labels)."""
    parts = (truth.multiply(given), truth, given)
    whole = Counts(*(np.asarray(part.sum(axis=0)).ravel() for part in parts))
    occurs = whole.truth + whole.predicted > 0
    if not occurs.any():
        # no label is there, and none was given: nothing is wrong
        return Span(1.0, 1.0, 1.0)
    drawn = [
        resampled_label_scores(counts, whole)[-1][:, occurs].mean(axis=1)
        for counts in _resampled(parts, truth.shape, seed)
    ]
    low, high = np.quantile(np.concatenate(drawn), _QUANTILES)
    value: Floats = label_scores(whole)[-1][occurs]
    return Span(float(value.mean()), float(low), float(high))


def _resampled(parts: Sequence[Any], shape: tuple[int, int], seed: int) -> Any:
    """The Counts of every resample of the rows, in chunks."""
    rows, labels = shape
    resamples = max(_FEWEST_RESAMPLES, min(RESAMPLES, _MOST_DRAWN // rows))
    for draws in draw(rows, max(rows, labels), seed, resamples):
        drawn = count_ids(np.arange(rows), draws, rows)  # (resamples, rows): how often each row was drawn
        yield Counts(*((part.T @ drawn.T).T for part in parts))
