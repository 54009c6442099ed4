"""What a report holds so that its reader understands the model: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CoveragePoint",
    "Explained",
    "GroupKind",
    "MarkedWord",
    "MistakeGroup",
    "Perturbed",
    "Reached",
    "Robustness",
    "Selection",
    "Shown",
    "Slice",
    "SliceTable",
    "Span",
    "Understanding",
    "Word",
]

GroupKind = Literal["confused", "missed", "added"]


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """Where only the surest are answered, a share `coverage` of all rows, `accuracy` of these are right.

    `min_confidence` is that of the least sure row among them.
    """

    coverage: float
    accuracy: float
    min_confidence: float


@dataclass(frozen=True, slots=True)
class Reached:
    """What a goal comes to on the test rows: from `min_confidence` on, `coverage` is answered so well.

    Fitted on the validation rows it is a promise that the test rows keep or not; fitted on the test rows it
    only describes them. None where no confidence gives so much, or where no row is so sure.
    """

    goal: float
    fitted_on: Literal["validation", "test"]
    min_confidence: float | None
    coverage: float | None
    accuracy: Span | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Accuracy against coverage; `aurc` is the area under risk against coverage, lower is better.

    `best_aurc` is that of an order in which all mistakes come last, `chance_aurc` that of one by chance. Of a
    multi-label model a row is right where all its labels are, and its confidence is the product of those in
    each label.
    """

    points: tuple[CoveragePoint, ...]
    aurc: float
    best_aurc: float
    chance_aurc: float
    goals: tuple[Reached, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows that have something in common; `difference` is their accuracy minus that of all others.

    Macro-F1 is the mean over the labels that occur in the slice, in truth or as an answer. The interval of
    the difference is widened for the number of slices; `worse` says that it lies below 0.
    """

    name: str
    rows: int
    accuracy: Span
    macro_f1: Span
    difference: Span | None
    worse: bool


@dataclass(frozen=True, slots=True)
class SliceTable:
    """All rows, sliced `by` something; `kind` says by what sort of thing."""

    by: str
    kind: Literal["length", "cut", "source", "column"]
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A word that more of the `mistakes` have than of the right answers beside them; `z` says how surely."""

    word: str
    z: float
    mistakes: int
    right: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A mistake of a group, with its text cut short."""

    text: str
    where: str
    probability: float


@dataclass(frozen=True, slots=True)
class MistakeGroup:
    """Mistakes of one kind; `share` is of the rows that could be mistaken so.

    `right_rows` are those in which the same was done rightly. `confused`: `truth` was answered `predicted`.
    Of a multi-label model `missed`: `truth` was not given; `added`: `predicted` was given wrongly. The other
    of the two is then empty.
    """

    kind: GroupKind
    truth: str
    predicted: str
    rows: int
    share: float
    right_rows: int
    examples: tuple[Shown, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class MarkedWord:
    """A word of a text, by its characters [start, end), and how far it moves the log-odds of the answer."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Explained:
    """A mistake with what each word of its text did for the wrong answer `label`.

    The scores sum to `log_odds` minus `baseline`, the log-odds of a text without words, but for `gap`.
    """

    text: str
    where: str
    truth: str
    predicted: str
    label: str
    probability: float
    log_odds: float
    baseline: float
    gap: float
    words: tuple[MarkedWord, ...]


@dataclass(frozen=True, slots=True)
class Perturbed:
    """How the model did on texts that were changed; differences are to the same texts unchanged, paired.

    `changed_texts` is the share of texts that the change touched, `changed_answers` that answered otherwise.
    """

    name: str
    how: str
    changed_texts: float
    changed_answers: float
    accuracy: float
    macro_f1: float
    accuracy_difference: Span
    macro_f1_difference: Span


@dataclass(frozen=True, slots=True)
class Robustness:
    """How answers hold where `rows` test texts are typed otherwise; no time was left for `left_out`."""

    rows: int
    accuracy: float
    macro_f1: float
    tests: tuple[Perturbed, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Understanding:
    """The part of a report that says when to trust a model that gives labels, and where it is weak.

    `explained` and `robustness` are there where they were asked for; of a multi-label model accuracy is
    subset accuracy everywhere.
    """

    selection: Selection
    slices: tuple[SliceTable, ...] = ()
    groups: tuple[MistakeGroup, ...] = ()
    explained: tuple[Explained, ...] = ()
    robustness: Robustness | None = None
