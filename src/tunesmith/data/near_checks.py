"""Texts that are nearly those of other rows, within the data and across its sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tunesmith.data.facts import Facts, Rows
from tunesmith.data.near import MOST_TEXTS
from tunesmith.data.problems import excerpt, shown
from tunesmith.data.text_checks import at_texts
from tunesmith.data.texts import among
from tunesmith.data.units import near_firsts
from tunesmith.errors import Problem

__all__ = ["NearPair", "NearTexts", "near_texts"]

_MOST_PAIRS = 200


@dataclass(frozen=True, slots=True)
class NearPair:
    """A training text, and another row that says nearly the same; texts are cut where they are long."""

    first: str
    """file:line"""
    first_text: str
    other: str
    other_text: str
    held_out: str | None
    """The name of the other's set, None where it is a training row too"""


@dataclass(frozen=True, slots=True)
class NearTexts:
    """What is nearly said twice."""

    duplicates: int = 0
    """Training rows that say nearly what an earlier one does, and not the very same"""
    leaks: int = 0
    """Held-out rows that say nearly what a training row does, and not the very same"""
    problems: tuple[Problem, ...] = ()
    pairs: tuple[NearPair, ...] = ()
    """At most 200 of each set"""


def near_texts(train: Facts, held: Mapping[str, Facts], most: int) -> NearTexts:
    """Compare all texts with all; of more than `most` none, and that is told."""
    sets = [train, *held.values()]
    if sum(len(facts.keys) for facts in sets) > most:
        what = f"near-duplicates are not looked for here among more than {most:,} texts"
        fix = f"run `tunesmith check`, which looks for them among up to {MOST_TEXTS:,}, or check a part of it"
        return NearTexts(problems=(Problem("near-unknown", what, "the data", fix, "info"),))
    groups = near_firsts([facts.dataset for facts in sets])
    own = groups[: len(train.keys)]
    duplicates = np.flatnonzero(train.keys[own] != train.keys)
    problems, leaks, start = [*_duplicates(train, duplicates, own)], 0, len(train.keys)
    pairs = [*_pairs(train, train, duplicates, own, None)]
    for name, facts in held.items():
        first = groups[start : start + len(facts.keys)]
        start += len(facts.keys)
        rows = np.flatnonzero((first < len(train.keys)) & ~among(facts.keys, train.keys))
        problems += _leaks(train, name, facts, rows, first)
        pairs += _pairs(train, facts, rows, first, name)
        leaks += rows.size
    return NearTexts(duplicates.size, leaks, tuple(problems), tuple(pairs))


def _pairs(train: Facts, other: Facts, rows: Rows, first: Rows, name: str | None) -> Iterator[NearPair]:
    for row in rows[:_MOST_PAIRS].tolist():
        one = int(first[row])
        first_text, other_text = excerpt(train.dataset[one].text), excerpt(other.dataset[row].text)
        yield NearPair(train.where(one), first_text, other.where(row), other_text, name)


def _duplicates(train: Facts, rows: Rows, first: Rows) -> Iterator[Problem]:
    if rows.size:
        what = (
            f"this is nearly the text of {_quoted(train, int(first[rows[0]]))}: {_text(train, int(rows[0]))}"
        )
        fix = "look at both; keep one where they tell the same, so that it does not count twice"
        yield from at_texts(train.dataset, "near-duplicates", what, rows, fix, "warning")


def _leaks(train: Facts, name: str, facts: Facts, rows: Rows, first: Rows) -> Iterator[Problem]:
    if rows.size:
        there, here = _quoted(train, int(first[rows[0]])), _text(facts, int(rows[0]))
        what = f"this row of the {name} set is nearly a training text, that of {there}: {here}"
        fix = "take such rows out of one of the two sets: what a model has nearly seen proves little"
        yield from at_texts(facts.dataset, "near-leak", what, rows, fix, "warning")


def _quoted(facts: Facts, row: int) -> str:
    return f"{facts.where(row)} ({_text(facts, row)})"


def _text(facts: Facts, row: int) -> str:
    return shown(excerpt(facts.dataset[row].text))
