"""What the paired intervals say about a model and its rivals, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunesmith.evaluation.types import Difference, LabelScore, RivalScore, Verdict
from tunesmith.evaluation.wording import ACCURACY, MACRO_F1, Score, clip, listed

__all__ = ["judge", "outcome"]

Outcome = Literal["beats", "not distinguishable", "worse"]

_FEW_ROWS = 100
_MOST_NAMED = 5
_MOST_RIVALS_NAMED = 3


def outcome(found: Difference) -> Outcome:
    """What a paired interval shows: it lies above 0, holds 0, or lies below 0."""
    if found.low > 0:
        return "beats"
    return "worse" if found.high < 0 else "not distinguishable"


def judge(
    rivals: Sequence[RivalScore],
    per_label: Sequence[LabelScore],
    rows: int,
    beside: Score = ACCURACY,
    lead: Score = MACRO_F1,
    cautions: Sequence[str] = (),
) -> Verdict:
    """The verdict by the score `lead`, with a word on the one `beside` it where that says otherwise.

    `cautions` are sentences that the caller has to add.
    """
    by_outcome: dict[Outcome, list[str]] = {"beats": [], "not distinguishable": [], "worse": []}
    for rival in rivals:
        by_outcome[outcome(rival.differences[lead.key])].append(rival.name)
    sentences = [_sentence(rival, lead, beside) for rival in rivals]
    sentences += [*_cautions(per_label, rows), *cautions]
    return Verdict(_headline(by_outcome), tuple(sentences), tuple(by_outcome["beats"]))


def _headline(by_outcome: dict[Outcome, list[str]]) -> str:
    if by_outcome["worse"]:
        return f"Worse than {_rivals(by_outcome['worse'])}"
    if by_outcome["not distinguishable"]:
        return f"Not distinguishable from {_rivals(by_outcome['not distinguishable'])}"
    if len(by_outcome["beats"]) > _MOST_RIVALS_NAMED:
        return f"Better than all {len(by_outcome['beats'])} rivals"
    if by_outcome["beats"]:
        return f"Better than {listed(by_outcome['beats'])}"
    return "Not compared with any rival"


def _rivals(names: list[str]) -> str:
    if len(names) <= _MOST_RIVALS_NAMED:
        return listed(names)
    named = names[: _MOST_RIVALS_NAMED - 1]
    return listed([*named, f"{len(names) - len(named)} more rivals"])


def _sentence(rival: RivalScore, lead: Score, beside: Score) -> str:
    found = rival.differences[lead.key]
    match outcome(found):
        case "beats":
            said = f"Beats {rival.name}: {lead.name} is {_gap(found, lead)} higher ({_span(found, lead)})"
        case "worse":
            said = (
                f"Is worse than {rival.name}: {lead.name} is {_gap(found, lead)} lower ({_span(found, lead)})"
            )
        case _:
            said = (
                f"Is not distinguishable from {rival.name}: the difference in {lead.name},"
                f" {lead.signed(found.value)}, may be chance ({_span(found, lead)})"
            )
    return said + _other_differs(found, rival.differences[beside.key], beside) + "."


def _gap(found: Difference, by: Score) -> str:
    return by.show(abs(found.value))


def _span(found: Difference, by: Score) -> str:
    return f"95 % interval {by.span(found, sign=True)}"


def _other_differs(by_lead: Difference, by_other: Difference, other: Score) -> str:
    if outcome(by_lead) == outcome(by_other):
        return ""
    says = {"beats": "is higher", "worse": "is lower", "not distinguishable": "is not distinguishable"}
    numbers = f"{other.signed(by_other.value)}, {_span(by_other, other)}"
    return f"; its {other.name} {says[outcome(by_other)]} ({numbers})"


def _cautions(per_label: Sequence[LabelScore], rows: int) -> list[str]:
    cautions = []
    if rows < _FEW_ROWS:
        cautions.append(f"With only {rows} test rows every number here is rough.")
    absent = [f"“{clip(found.label, 40)}”" for found in per_label if found.rows == 0]
    if absent:
        cautions.append(f"Nothing shows how the model does on {_named(absent)}: no test row has that label.")
    return cautions


def _named(labels: list[str]) -> str:
    if len(labels) <= _MOST_NAMED:
        return listed(labels, last="or")
    return listed([*labels[:_MOST_NAMED], f"{len(labels) - _MOST_NAMED} more labels"], last="or")
