"""What a report on preferences holds besides: pairs, and how long their answers are."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.evaluation.examples import Chosen

__all__ = ["Preference", "PreferenceExample"]


@dataclass(frozen=True, slots=True)
class PreferenceExample:
    """A test row with its reward margin: above 0 the preferred answer wins."""

    prompt: str
    preferred: str
    rejected: str
    where: str
    margin: float
    chosen: Chosen


@dataclass(frozen=True, slots=True)
class Preference:
    """The part of a report that only preferences have.

    `beta` is what margins are scaled by; tokens are means over the answers. `lead` and `beside` are the
    metrics that decide the verdict.
    """

    beta: float
    preferred_tokens: float
    rejected_tokens: float
    examples: tuple[PreferenceExample, ...]
    lead: str = "reward_accuracy"
    beside: str = "likelihood_accuracy"
