"""Bar: what a model must reach to be worth deploying."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from tunesmith.config import Config

__all__ = ["METRICS", "Bar"]

_Share = Annotated[float, Field(ge=0, le=1)]
_Percent = Annotated[float, Field(ge=0, le=100)]

METRICS = (
    "accuracy",
    "macro_f1",
    "micro_f1",
    "macro_precision",
    "macro_recall",
    "example_f1",
    "subset_accuracy",
    "rouge_l",
    "word_f1",
    "exact_match",
    "chrf",
    "bleu",
    "reward_accuracy",
)
"""The keys of a bar that name a metric, of which a model must reach as much at the least."""


class Bar(Config):
    """What a model must reach on the test rows. A metric is reached by its value, not by its interval."""

    accuracy: _Share | None = None
    """The least accuracy."""

    macro_f1: _Share | None = None
    """The least macro-F1."""

    micro_f1: _Share | None = None
    """The least micro-F1."""

    macro_precision: _Share | None = None
    """The least macro precision."""

    macro_recall: _Share | None = None
    """The least macro recall."""

    example_f1: _Share | None = None
    """The least example-F1, of several labels a text."""

    subset_accuracy: _Share | None = None
    """The least share of texts with exactly the right labels."""

    rouge_l: _Share | None = None
    """The least ROUGE-L, of what is written."""

    word_f1: _Share | None = None
    """The least word F1, of what is written."""

    exact_match: _Share | None = None
    """The least share of answers that equal the reference."""

    chrf: _Percent | None = None
    """The least chrF, 0 to 100."""

    bleu: _Percent | None = None
    """The least BLEU, 0 to 100."""

    reward_accuracy: _Share | None = None
    """The least share of pairs of which the preferred answer wins, of what is learned from preferences."""

    beats: tuple[str, ...] = ()
    """Rivals to beat, or how they begin: `tfidf`, `majority`, `ngrams`, `probe`, `zero-shot`, `few-shot`."""

    max_ms: float | None = Field(default=None, gt=0)
    """The most milliseconds a text may take."""

    @field_validator("beats", mode="before", json_schema_input_type=tuple[str, ...] | str)
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _asks_something(self) -> Bar:
        if not self.model_dump(exclude_defaults=True):
            raise ValueError("a bar asks for something: a metric, `beats` or `max_ms`")
        return self
