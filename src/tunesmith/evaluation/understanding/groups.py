"""Mistakes of one kind together, with the words that stand in them and not in right answers.

Source of the words: Monroe, Colaresi & Quinn, Fightin' Words, 2008: log-odds ratios with an informative
Dirichlet prior, here the words of both sides together. A word counts once a text, so that one long text
cannot decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.data.dataset import Dataset, Example
from tunesmith.evaluation.generation.words import words
from tunesmith.evaluation.types import Floats
from tunesmith.evaluation.understanding.answers import Answers
from tunesmith.evaluation.understanding.types import GroupKind, MistakeGroup, Shown, Word

__all__ = ["group_mistakes", "telling_words"]

Rows = npt.NDArray[np.int64]  # numbers of rows

_MOST_GROUPS = 12
_EXAMPLES = 3
_SHOWN_CHARACTERS = 400
# words of fewer mistakes, or told with less certainty, may be chance
_FEWEST_MISTAKES, _LEAST_Z = 3, 1.96
_MOST_WORDS = 8
# so many texts of either side are read, and so much of each
_MOST_TEXTS, _READ_CHARACTERS = 500, 5_000
# how much the prior weighs, in words for each text
_PRIOR = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The rows of one kind of mistake, and the rows in which the same was done rightly."""

    kind: GroupKind
    truth: int | None
    predicted: int | None
    wrong: Rows
    right: Rows
    could_be: int


def group_mistakes(test: Dataset, answers: Answers) -> tuple[MistakeGroup, ...]:
    """The most frequent kinds of mistake, at most twelve, with their surest examples and telling words."""
    found = _of_several(answers) if answers.several else _confused(answers)
    largest = sorted(found, key=lambda group: -len(group.wrong))[:_MOST_GROUPS]
    surest = [group.wrong[_surest(answers, group)] for group in largest]
    read = [part for group in largest for part in (_some(group.wrong), _some(group.right))]
    # a large dataset is gone through once for all of them
    rows = np.unique(np.concatenate([np.zeros(0, np.int64), *surest, *read]))
    examples = dict(zip(rows.tolist(), test.take(rows), strict=True))
    return tuple(
        _as_group(answers, group, of_group, examples) for group, of_group in zip(largest, surest, strict=True)
    )


def _confused(answers: Answers) -> Iterator[_Group]:
    truth, predicted = answers.truth.indices, answers.given.indices
    pairs, counts = np.unique(np.stack([truth, predicted])[:, ~answers.right], axis=1, return_counts=True)
    for index in np.argsort(-counts, kind="stable")[:_MOST_GROUPS].tolist():
        label, other = pairs[:, index].tolist()
        wrong = np.flatnonzero((truth == label) & (predicted == other))
        of_label = truth == label
        right = np.flatnonzero(of_label & answers.right)
        yield _Group("confused", label, other, wrong, right, int(of_label.sum()))


def _of_several(answers: Answers) -> Iterator[_Group]:
    """Each label that was missed, and each that was given wrongly."""
    hits = answers.truth.multiply(answers.given)
    kinds: tuple[tuple[GroupKind, Any], ...] = (("missed", answers.truth), ("added", answers.given))
    for kind, having in kinds:
        wrong = (having - hits).tocsc()
        wrong.eliminate_zeros()
        counts = np.diff(wrong.indptr)
        right = hits.tocsc()
        for label in np.argsort(-counts, kind="stable")[:_MOST_GROUPS].tolist():
            if not counts[label]:
                break
            rows = np.sort(wrong.indices[wrong.indptr[label] : wrong.indptr[label + 1]])
            done = np.sort(right.indices[right.indptr[label] : right.indptr[label + 1]])
            missed, added = (label, None) if kind == "missed" else (None, label)
            yield _Group(kind, missed, added, rows, done, len(rows) + len(done))


def _as_group(answers: Answers, group: _Group, surest: Rows, examples: Mapping[int, Example]) -> MistakeGroup:
    sureness = _sureness(answers, group, surest).tolist()
    shown = tuple(
        Shown(examples[row].text[:_SHOWN_CHARACTERS], examples[row].where, sure)
        for row, sure in zip(surest.tolist(), sureness, strict=True)
    )
    wrong, right = (
        [examples[row].text[:_READ_CHARACTERS] for row in _some(rows).tolist()]
        for rows in (group.wrong, group.right)
    )
    return MistakeGroup(
        group.kind,
        "" if group.truth is None else answers.labels[group.truth],
        "" if group.predicted is None else answers.labels[group.predicted],
        len(group.wrong),
        len(group.wrong) / group.could_be,
        len(group.right),
        shown,
        telling_words(wrong, right),
    )


def _surest(answers: Answers, group: _Group) -> Rows:
    """The places in the group of the mistakes of which the model was surest."""
    return np.argsort(-_sureness(answers, group, group.wrong), kind="stable")[:_EXAMPLES]


def _sureness(answers: Answers, group: _Group, rows: Rows) -> Floats:
    """(rows,) how probable the wrong decision was to the model."""
    if group.kind == "missed":
        missed: Floats = 1 - answers.probabilities[rows][:, group.truth]
        return missed
    added: Floats = answers.probabilities[rows][:, group.predicted]
    return added


def _some(rows: Rows) -> Rows:
    """All rows, or of many as many as are read, evenly drawn."""
    if len(rows) <= _MOST_TEXTS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST_TEXTS).astype(np.int64)]


def telling_words(mistakes: Sequence[str], right: Sequence[str]) -> tuple[Word, ...]:
    """The words that stand in more of the mistakes, the surest first, at most eight.

    A word's z is its log-odds ratio by its standard deviation: from 1.96 on it is told, where at least three
    mistakes have it.
    """
    in_mistakes, in_right = _counted(mistakes), _counted(right)
    totals = in_mistakes.total(), in_right.total()
    if not all(totals):
        return ()
    mass = _PRIOR * (len(mistakes) + len(right))
    found = [
        Word(word, _z((count, in_right[word]), totals, mass), count, in_right[word])
        for word, count in in_mistakes.items()
        if count >= _FEWEST_MISTAKES
    ]
    telling = sorted((word for word in found if word.z >= _LEAST_Z), key=lambda word: (-word.z, word.word))
    return tuple(telling[:_MOST_WORDS])


def _counted(texts: Sequence[str]) -> Counter[str]:
    """In how many texts each word stands."""
    return Counter(word for text in texts for word in set(words(text)))


def _z(counts: tuple[int, int], totals: tuple[int, int], mass: float) -> float:
    """Monroe's z of a word with these counts, where all words of either side count `totals` together."""
    prior = mass * sum(counts) / sum(totals)
    one, other = (count + prior for count in counts)
    rest, other_rest = (total + mass - value for total, value in zip(totals, (one, other), strict=True))
    log_odds = float(np.log(one / rest) - np.log(other / other_rest))
    return log_odds / float(np.sqrt(1 / one + 1 / other))
