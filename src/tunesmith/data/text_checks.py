"""What is wrong with the texts of a dataset, or looks as if it were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset
from tunesmith.data.facts import Facts, Rows
from tunesmith.data.problems import grouped, shown_target
from tunesmith.data.texts import EMPTY_KEY, among
from tunesmith.errors import Problem, Severity

__all__ = ["TokenLengths", "at_texts", "empty_texts", "leaked_rows", "leaks", "repeats", "token_lengths"]

_FEWEST_TOKENS = 3


@dataclass(frozen=True, slots=True)
class TokenLengths:
    """How long the texts are, in tokens; `truncated_share` of them are longer than the window."""

    mean: float
    median: float
    p95: float
    longest: int
    truncated_share: float | None
    histogram: tuple[tuple[int, int], ...] = ()
    """(most tokens, texts with so many and more than the bin before), in powers of two"""


def at_texts(
    dataset: Dataset, code: str, what: str, rows: Rows, fix: str, severity: Severity = "error"
) -> Iterator[Problem]:
    """What is wrong with the texts of these rows, if they are any."""
    if rows.size:
        where, column = dataset.where(int(rows[0])), dataset.task.text_column
        yield grouped(code, what, where, fix, column=column, severity=severity, count=rows.size)


def empty_texts(facts: Facts) -> Iterator[Problem]:
    """Rows without a text."""
    fix = "fill it in, or let `tunesmith check FILE --fix NEW_FILE` drop the row"
    yield from at_texts(facts.dataset, "empty-text", "the text is empty", facts.empty, fix)


def repeats(facts: Facts) -> Iterator[Problem]:
    """Texts that stand more than once: all of them, some of them, or under several labels."""
    if len(facts.dataset) > 1 and _is_one_text(facts):
        what = f"all {len(facts.dataset):,} rows hold the same text"
        fix = "name the right column with --text-column"
        yield from at_texts(facts.dataset, "all-duplicates", what, np.arange(len(facts.dataset)), fix)
        return
    yield from _contradictions(facts)
    fix = "nothing need be done: equal texts never part in a split; `--fix` keeps the first of each"
    what = "the text of an earlier row stands here again"
    yield from at_texts(facts.dataset, "duplicates", what, facts.repeated, fix, "warning")


def _is_one_text(facts: Facts) -> bool:
    told = facts.keys != EMPTY_KEY
    return bool(told.any() and (facts.keys[told] == facts.keys[np.argmax(told)]).all())


def _contradictions(facts: Facts) -> Iterator[Problem]:
    rows = facts.contradictory
    if not rows.size:
        return
    first = rows[0]
    same = rows[(facts.keys[rows] == facts.keys[first]) & (facts.codes[rows] != facts.codes[first])]
    one, other = (shown_target(facts.dataset[int(row)].target) for row in (first, same[0]))
    what = f"the same text is {one} here and {other} at {facts.where(same[0])}"
    fix = "decide which label is right; `--fix` drops every such text"
    yield from at_texts(facts.dataset, "conflicting-labels", what, rows, fix, "warning")


def leaked_rows(train: Facts, held_out: Facts) -> Rows:
    """Rows of `train` whose text also stands in `held_out`."""
    return np.flatnonzero(among(train.keys, held_out.keys) & (train.keys != EMPTY_KEY))


def leaks(train: Facts, name: str, rows: Rows) -> Iterator[Problem]:
    """Rows of `train` whose text also stands in the held-out set `name`."""
    what = f"a text of the {name} set also stands here, in the training data"
    fix = "nothing need be done: it will be left out of training"
    yield from at_texts(train.dataset, "leak", what, rows, fix, "warning")


def token_lengths(
    dataset: Dataset, tokens: npt.NDArray[np.int32], window: int | None
) -> tuple[TokenLengths, list[Problem]]:
    """Sum up the `tokens` of each text, and tell texts that will be cut or say next to nothing."""
    cut = np.flatnonzero(tokens > window) if window is not None else None
    lengths = TokenLengths(
        mean=float(tokens.mean()),
        median=float(np.median(tokens)),
        p95=float(np.percentile(tokens, 95)),
        longest=int(tokens.max()),
        truncated_share=None if cut is None else cut.size / tokens.size,
        histogram=_histogram(tokens),
    )
    return lengths, [*_truncated(dataset, cut, window), *_short(dataset, lengths)]


def _histogram(tokens: npt.NDArray[np.int32]) -> tuple[tuple[int, int], ...]:
    powers = np.ceil(np.log2(np.maximum(tokens, 1))).astype(np.int64)
    counts = np.bincount(powers)
    first = int(powers.min())
    return tuple((1 << power, int(counts[power])) for power in range(first, counts.size))


def _truncated(dataset: Dataset, cut: Rows | None, window: int | None) -> Iterator[Problem]:
    if cut is None:
        return
    share = cut.size / len(dataset)
    what = f"{share:.1%} of the texts are longer than the {window:,} tokens the model reads, and will be cut"
    fix = "put what matters first, or choose a base with a longer window"
    if dataset.task.writes:
        fix = "shorten them: the beginning of prompts is cut, and what is still too long at the end"
    yield from at_texts(dataset, "truncated", what, cut, fix, "warning")


def _short(dataset: Dataset, lengths: TokenLengths) -> Iterator[Problem]:
    if lengths.median < _FEWEST_TOKENS:
        what = f"half of the texts have {lengths.median:g} tokens or fewer"
        fix = "look whether --text-column names the right column"
        yield from at_texts(dataset, "short-texts", what, np.arange(1), fix, "warning")
