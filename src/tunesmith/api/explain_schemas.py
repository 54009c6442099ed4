"""What travels of an explanation."""

from __future__ import annotations

from pydantic import ConfigDict, FiniteFloat

from tunesmith.api.schemas import Wire

__all__ = ["ExplainRequest", "ExplainResponse", "ScoredPiece"]


class ExplainRequest(Wire):
    """A text whose answer is to be explained."""

    model_config = ConfigDict(strict=True)

    input: str
    """The text."""

    label: str | None = None
    """For which label. Left out: the likeliest."""

    model: str | None = None
    """Which model answers, by its name. Left out: the server's first."""


class ScoredPiece(Wire):
    """A stretch of the text, and what it did."""

    text: str
    """The characters; none for a special token."""

    start: int
    """Where it begins, in characters (code points) of the text."""

    end: int
    """Where it ends; the character there is no part of it."""

    score: FiniteFloat
    """By how much it raises the log-odds of the label; below 0 it speaks against it."""


class ExplainResponse(Wire):
    """What each token did for a label: the scores sum to `log_odds` - `baseline` + `gap`."""

    model: str
    """The model's name."""

    label: str
    """The label that is explained."""

    log_odds: FiniteFloat
    """How much likelier the label is than all others together, as a natural logarithm."""

    baseline: FiniteFloat
    """The same of a text of as many tokens without words."""

    gap: FiniteFloat
    """The error of the integral: what the scores sum to beyond `log_odds` - `baseline`."""

    truncated: bool
    """Whether the text is longer than the model reads, so that its end had no part."""

    tokens: list[ScoredPiece]
    """The tokens that were read, in their order."""

    words: list[ScoredPiece]
    """The same, summed to what stands between white space."""
