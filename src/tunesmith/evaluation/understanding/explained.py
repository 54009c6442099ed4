"""What the words of the worst mistakes did for the wrong answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tunesmith.evaluation.types import Mistake
from tunesmith.evaluation.understanding.types import Explained, MarkedWord
from tunesmith.model.explanation import Explanation

__all__ = ["MOST_EXPLAINED", "explain_mistakes"]

MOST_EXPLAINED = 10
"""So many of the worst mistakes are explained."""

Explain = Callable[[str, str], Explanation]


def explain_mistakes(
    explain: Explain,
    mistakes: Sequence[Mistake],
    labels: tuple[str, ...],
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Explained, ...]:
    """The worst mistakes explained, the worst first, until `seconds` are over.

    Of several labels, the first that was given wrongly is explained, else the first that was missed.
    """
    started, found = clock(), []
    for mistake in mistakes:
        if clock() - started > seconds:
            break
        found.append(_explained(mistake, explain(mistake.text, _label_of(mistake, labels))))
    return tuple(found)


def _label_of(mistake: Mistake, labels: tuple[str, ...]) -> str:
    if mistake.added or mistake.missed:
        return (*mistake.added, *mistake.missed)[0]
    assert mistake.predicted in labels, "of one label a text, the answer is a label"
    return mistake.predicted


def _explained(mistake: Mistake, found: Explanation) -> Explained:
    words = found.words
    # what was not read has no part in the answer
    read = words[-1].end if words else 0
    return Explained(
        found.text[:read],
        mistake.where,
        mistake.truth,
        mistake.predicted,
        found.label,
        mistake.probability,
        found.log_odds,
        found.baseline,
        found.gap,
        tuple(MarkedWord(word.start, word.end, word.score) for word in words),
    )
