"""Texts that begin or end alike, and texts that hold personal data."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.facts import Facts
from tunesmith.data.problems import grouped, shown
from tunesmith.data.traits import traits_of
from tunesmith.errors import Problem

__all__ = ["trait_problems"]


def trait_problems(facts: Facts) -> Iterator[Problem]:
    """What the texts have in common, and what personal data they seem to hold; it is counted, never shown."""
    traits = traits_of(facts.dataset.text_batches(), len(facts.keys))
    column = facts.dataset.task.text_column
    for common in traits.common:
        place = "end" if common.at_end else "begin"
        what = f"{common.share:.0%} of the texts {place} with {shown(common.words)}"
        fix = "cut it off where new texts will not have it, or where it gives the label away"
        count = max(1, round(common.share * len(facts.keys)))
        where = facts.where(common.first)
        yield grouped("boilerplate", what, where, fix, column=column, severity="info", count=count)
    for kind, rows in traits.personal.items():
        if rows:
            what = f"{kind} seems to stand in this text"
            fix = "take it out before the model is shared: what was read can be given away"
            where, count = facts.where(rows[0]), len(rows)
            yield grouped("personal-data", what, where, fix, column=column, severity="warning", count=count)
