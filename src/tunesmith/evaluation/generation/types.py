"""What a report of written answers holds besides: examples, lengths, and which scores lead."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.evaluation.examples import Chosen

__all__ = ["LengthBin", "Lengths", "Writing", "WrittenExample"]


@dataclass(frozen=True, slots=True)
class WrittenExample:
    """A test row with what was written for it; `rouge_l` is of this row alone."""

    prompt: str
    reference: str
    answer: str
    where: str
    rouge_l: float
    chosen: Chosen


@dataclass(frozen=True, slots=True)
class LengthBin:
    """How many texts have from `low` up to, not including, `high` words; None: no upper end."""

    low: int
    high: int | None
    answers: int
    references: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Words of answers and of references; `cut` answers were ended by the limit on their tokens."""

    bins: tuple[LengthBin, ...]
    answer_mean: float
    answer_median: float
    answer_longest: int
    reference_mean: float
    reference_median: float
    reference_longest: int
    empty: int
    cut: int | None


@dataclass(frozen=True, slots=True)
class Writing:
    """The part of a report that only written answers have.

    `lead` and `beside` are the metrics that decide the verdict; of `values` different targets the answers
    named one in all but `outside` rows (both 0 where targets are many); `notes` say what is missing and why.
    """

    lead: str
    beside: str
    examples: tuple[WrittenExample, ...]
    lengths: Lengths
    values: int = 0
    outside: int = 0
    notes: tuple[str, ...] = ()
