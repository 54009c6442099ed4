"""What the paired intervals say about a model and its rivals, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunesmith.evaluation.types import Difference, LabelScore, RivalScore, Verdict
from tunesmith.evaluation.wording import ACCURACY, Score, clip, listed, signed, span

__all__ = ["judge", "outcome"]

Outcome = Literal["beats", "not distinguishable", "worse"]

_FEW_ROWS = 100
_MOST_NAMED = 5


def outcome(found: Difference) -> Outcome:
    """What a paired interval shows: it lies above 0, holds 0, or lies below 0."""
    if found.low > 0:
        return "beats"
    return "worse" if found.high < 0 else "not distinguishable"


def judge(
    rivals: Sequence[RivalScore], per_label: Sequence[LabelScore], rows: int, beside: Score = ACCURACY
) -> Verdict:
    """The verdict by macro-F1, with a word on the score `beside` it where that says otherwise."""
    by_outcome: dict[Outcome, list[str]] = {"beats": [], "not distinguishable": [], "worse": []}
    for rival in rivals:
        by_outcome[outcome(rival.differences["macro_f1"])].append(rival.name)
    sentences = [_sentence(rival, beside) for rival in rivals] + _cautions(per_label, rows)
    return Verdict(_headline(by_outcome), tuple(sentences), tuple(by_outcome["beats"]))


def _headline(by_outcome: dict[Outcome, list[str]]) -> str:
    if by_outcome["worse"]:
        return f"Worse than {listed(by_outcome['worse'])}"
    if by_outcome["not distinguishable"]:
        return f"Not distinguishable from {listed(by_outcome['not distinguishable'])}"
    if by_outcome["beats"]:
        return f"Better than {listed(by_outcome['beats'])}"
    return "Not compared with any rival"


def _sentence(rival: RivalScore, beside: Score) -> str:
    by_f1 = rival.differences["macro_f1"]
    match outcome(by_f1):
        case "beats":
            said = f"Beats {rival.name}: macro-F1 is {_gap(by_f1)} higher ({_span(by_f1)})"
        case "worse":
            said = f"Is worse than {rival.name}: macro-F1 is {_gap(by_f1)} lower ({_span(by_f1)})"
        case _:
            said = (
                f"Is not distinguishable from {rival.name}: the difference in macro-F1,"
                f" {signed(by_f1.value)}, may be chance ({_span(by_f1)})"
            )
    return said + _other_differs(by_f1, rival.differences[beside.key], beside.name) + "."


def _gap(found: Difference) -> str:
    return f"{abs(found.value):.3f}"


def _span(found: Difference) -> str:
    return f"95 % interval {span(found, sign=True)}"


def _other_differs(by_f1: Difference, by_other: Difference, name: str) -> str:
    if outcome(by_f1) == outcome(by_other):
        return ""
    says = {"beats": "is higher", "worse": "is lower", "not distinguishable": "is not distinguishable"}
    numbers = f"{signed(by_other.value)}, {_span(by_other)}"
    return f"; its {name} {says[outcome(by_other)]} ({numbers})"


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
