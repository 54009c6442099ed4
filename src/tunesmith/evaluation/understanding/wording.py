"""What terminal and page say of what there is to understand."""

from __future__ import annotations

from tunesmith.evaluation.understanding.types import MistakeGroup, Reached, Span, Understanding

__all__ = ["accuracy_name", "confidence", "group_title", "percent", "strength", "worse_slices"]

_STRONG, _MIDDLING, _WEAK = 0.6, 0.3, 0.15


def percent(value: float) -> str:
    """A share in whole percent; what is neither none nor all is shown as neither."""
    rounded = round(100 * value)
    if rounded == 0 and value > 0:
        return "< 1 %"
    return "> 99 %" if rounded == 100 and value < 1 else f"{rounded} %"


def confidence(found: Reached) -> str:
    """The least confidence of a goal as it is typed."""
    return "–" if found.min_confidence is None else f"{found.min_confidence:.4g}"


def accuracy_name(kind: str) -> str:
    """What is called accuracy of this kind of task."""
    return "subset accuracy" if kind == "multi_label" else "accuracy"


def group_title(found: MistakeGroup) -> str:
    """`sport → business`, or which label was missed or given wrongly."""
    match found.kind:
        case "confused":
            return f"{found.truth} → {found.predicted}"
        case "missed":
            return f"{found.truth} missed"
        case _:
            return f"{found.predicted} given wrongly"


def worse_slices(understanding: Understanding) -> list[tuple[str, str, Span]]:
    """(by, slice, difference) of every slice that is worse than the rest."""
    return [
        (table.by, each.name, each.difference)
        for table in understanding.slices
        for each in table.slices
        if each.worse and each.difference is not None
    ]


def strength(value: float, largest: float) -> int:
    """From -3 to 3 how strongly a score is marked beside the largest; 0: not at all."""
    part = abs(value) / largest if largest else 0.0
    steps = (part >= _WEAK) + (part >= _MIDDLING) + (part >= _STRONG)
    return steps if value > 0 else -steps
