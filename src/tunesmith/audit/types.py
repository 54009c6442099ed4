"""What an audit found: plain frozen values for terminal, JSON and page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.errors import Problem

__all__ = ["Audit", "Confused", "Doubt", "LabelNoise", "LabelShare", "Language", "Languages", "Shift"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A row whose label is probably not the right one."""

    where: str
    text: str
    given: str
    """The label; of several that which is doubted, or `without` the one that is missed"""
    probable: str
    """The label that the other rows speak for"""
    probability: float
    """Of the given label, by a model that has not seen the row"""


@dataclass(frozen=True, slots=True)
class Confused:
    """Two labels whose texts the data itself does not keep apart."""

    first: str
    second: str
    share: float
    """Of all rows, those that bear one and read like the other"""


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """Which labels are doubtful, by cross-validated confident learning (Northcutt et al., 2021)."""

    rows: int
    """How many were looked at: distinct texts with a label of at least ten"""
    doubtful: int
    """How many of them are estimated to be wrong"""
    doubts: tuple[Doubt, ...]
    """The most doubtful, most doubtful first"""
    confused: tuple[Confused, ...]

    @property
    def share(self) -> float:
        """The share of rows that is estimated to be wrong."""
        return self.doubtful / self.rows


@dataclass(frozen=True, slots=True)
class LabelShare:
    """How much of two sets bears a label."""

    label: str
    train: float
    held_out: float


@dataclass(frozen=True, slots=True)
class Shift:
    """How well a classifier tells a held-out set from the training rows."""

    name: str
    rows: int
    """How many were compared, of both sets together"""
    auc: float
    """The chance that it rates a held-out text higher: 0.5 where the sets are alike"""
    low: float
    high: float
    """The 95 % interval of the AUC (Hanley and McNeil, 1982)"""
    train_words: tuple[str, ...]
    """What speaks most for a training text"""
    held_out_words: tuple[str, ...]
    labels: tuple[LabelShare, ...]
    """The labels whose shares differ, the most different first"""


@dataclass(frozen=True, slots=True)
class Language:
    """A language that texts are surely in."""

    code: str
    texts: int
    where: str
    """The first of them"""


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a sample of the texts, the most frequent first."""

    texts: int
    """How many were looked at"""
    unsure: int
    """Of how many it cannot be said: they are short, or more than one language"""
    found: tuple[Language, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """All of it; a part is None where it was not looked for, and a problem says why."""

    noise: LabelNoise | None
    shifts: tuple[Shift, ...]
    languages: Languages | None
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the problems, which the report of the data has."""
        values = asdict(self)
        del values["problems"]
        return values
