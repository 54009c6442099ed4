"""Texts that are far shorter or longer than the others, or that stop before their end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.facts import Facts, Rows
from tunesmith.data.problems import shown
from tunesmith.data.text_checks import at_texts
from tunesmith.errors import Problem

__all__ = ["cut_off_rows", "length_problems"]

_FEWEST_TEXTS = 50
# robust standard deviations of the logarithm: of lengths spread log-normally, one in two million is further
_FAR = 5.0
_TO_STANDARD_DEVIATION = 1.4826
_ENDS = pa.array(list(".!?…\"'”’»)]:;。！？」』"))
_USUALLY = 0.95  # the share of texts that end with a mark from which on those that do not are odd
_FEWEST_CHARS = 40
_ALIKE, _FEWEST_ALIKE = 0.01, 20
_TAIL = 30

Lengths = npt.NDArray[np.int64]


def length_problems(facts: Facts) -> Iterator[Problem]:
    """Lengths in characters that stand out, one length that many texts have, and ends that are none.

    Of fewer than fifty texts nothing is said.
    """
    if len(facts.keys) < _FEWEST_TEXTS:
        return
    lengths, marked = _measured(facts)
    alike = _cut_at_one_length(lengths)
    yield from _one_length(facts, lengths, alike)
    if not alike.size:
        yield from _cut_off(facts, _unmarked(lengths, marked))
    yield from _outliers(facts, lengths)


def cut_off_rows(facts: Facts) -> Rows:
    """Rows whose text seems to stop before its end."""
    lengths, marked = _measured(facts)
    alike = _cut_at_one_length(lengths)
    return alike if alike.size else _unmarked(lengths, marked)


def _unmarked(lengths: Lengths, marked: npt.NDArray[np.bool_]) -> Rows:
    """Rows that do not end as sentences do, where nearly all that are long enough to be sentences do."""
    told = lengths >= _FEWEST_CHARS
    usual = int(told.sum()) >= _FEWEST_TEXTS and float(marked[told].mean()) >= _USUALLY
    return np.flatnonzero(told & ~marked) if usual else np.arange(0)


def _measured(facts: Facts) -> tuple[Lengths, npt.NDArray[np.bool_]]:
    """(rows,) the characters of each text, and whether it ends as sentences do."""
    lengths, marked = [], []
    for batch in facts.dataset.batches():
        texts = batch.column("text").fill_null("")
        lengths.append(pc.utf8_length(texts).to_numpy(zero_copy_only=False))
        last = pc.utf8_slice_codeunits(pc.utf8_rtrim_whitespace(texts), -1).cast(pa.string())
        marked.append(pc.is_in(last, value_set=_ENDS).to_numpy(zero_copy_only=False))
    return np.concatenate(lengths).astype(np.int64), np.concatenate(marked)


def _cut_at_one_length(lengths: Lengths) -> Rows:
    """Rows that all have the greatest length, where they are too many for chance."""
    longest = np.flatnonzero(lengths == lengths.max())
    enough = longest.size >= max(_FEWEST_ALIKE, _ALIKE * lengths.size) and lengths.max() >= _FEWEST_CHARS
    return longest if enough and longest.size < lengths.size else longest[:0]


def _one_length(facts: Facts, lengths: Lengths, rows: Rows) -> Iterator[Problem]:
    if rows.size:
        share, most = rows.size / lengths.size, lengths.max()
        what = f"{share:.0%} of the texts have {most:,} characters, and none has more"
        fix = "look whether they were cut when they were exported, and export them whole"
        yield from at_texts(facts.dataset, "cut-off", what, rows, fix, "warning")


def _cut_off(facts: Facts, rows: Rows) -> Iterator[Problem]:
    if rows.size:
        tail = " ".join(facts.dataset[int(rows[0])].text.split())[-_TAIL:]
        what = f"this text stops without a full stop, where nearly all others end with one: {shown(tail)}"
        fix = "look whether it was cut, and take the whole text"
        yield from at_texts(facts.dataset, "cut-off", what, rows, fix, "warning")


def _outliers(facts: Facts, lengths: Lengths) -> Iterator[Problem]:
    logs = np.log1p(lengths)
    middle = np.median(logs)
    spread = _TO_STANDARD_DEVIATION * np.median(np.abs(logs - middle))
    rows = np.flatnonzero((np.abs(logs - middle) > _FAR * spread) & (lengths > 0))
    if spread and rows.size:
        low, high = np.percentile(lengths, (25, 75))
        size = _characters(int(lengths[rows[0]]))
        what = f"this text has {size}, where half of all have {low:,.0f} to {high:,.0f}"
        fix = "look at it: what is far shorter or longer than the rest is often no such text"
        yield from at_texts(facts.dataset, "length-outliers", what, rows, fix, "info")


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count:,} characters"
