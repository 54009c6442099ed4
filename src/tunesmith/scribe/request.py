"""What is asked of a model that writes: a prompt, how tokens are chosen, and what may be written at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.model.decoding import decoding_faults, refuse_faults

__all__ = ["AnyJson", "Constraint", "JsonSchema", "OneOf", "Request"]

_MOST_STOPS, _MOST_STOP_CHARS = 4, 1000
_MOST_LIKELY = 20
_WIDEST_PENALTY, _WIDEST_BIAS = 2, 100


@dataclass(frozen=True, slots=True)
class AnyJson:
    """The answer is a JSON object."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The answer is JSON that a schema allows."""

    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The answer is one of these texts, and nothing more."""

    texts: tuple[str, ...]


Constraint = AnyJson | JsonSchema | OneOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt and how it is to be answered. Raises ConfigError with all that is wrong.

    Either `messages` wait for the next one, or the model goes on with `prompt`, a text or token ids, as it
    stands. Token ids are looked at when a `Scribe` gets them. The fields mean what they mean in OpenAI's API.
    """

    messages: Sequence[Mapping[str, Any]] | None = None
    prompt: str | Sequence[int] | None = None
    choices: int = 1
    """How many answers, each drawn on its own; OpenAI's `n`"""
    max_new_tokens: int | None = None
    """None: as many as there is room for; 0 only where the prompt is echoed"""
    temperature: float = 1.0
    """0: always the likeliest token"""
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end an answer before they are in it, 4 at most"""
    presence_penalty: float = 0.0
    """Taken once from the logit of every token that the answer has"""
    frequency_penalty: float = 0.0
    """Taken from the logit of a token as often as the answer has it"""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Token id -> what is added to its logit, -100 to 100"""
    logprobs: int | None = None
    """How many of the likeliest tokens are told at each place, up to 20, beside the one that was taken; None:
    no probabilities. They are the model's own: before penalties, bias, constraint, temperature and top_p"""
    echo: bool = False
    """Whether the text of the prompt is given out, too, before each answer"""
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        refuse_faults([*self._faults_of_prompt(), *self._faults_of_numbers(), *self._faults_of_texts()])

    def _faults_of_prompt(self) -> Iterator[str]:
        if (self.messages is None) == (self.prompt is None):
            yield "there are messages and a prompt, or neither; there must be one of them"
        if self.messages is not None and not self.messages:
            yield "there are no messages"
        if self.prompt is not None and not isinstance(self.prompt, str) and not self.prompt:
            yield "the prompt has no tokens"
        if self.echo and self.prompt is None:
            yield "echo is set, and messages are not echoed"

    def _faults_of_numbers(self) -> Iterator[str]:
        if self.choices < 1:
            yield f"choices is {self.choices}, and must be at least 1"
        yield from decoding_faults(self, least_tokens=0 if self.echo else 1)
        for name in ("presence_penalty", "frequency_penalty"):
            if not abs(value := getattr(self, name)) <= _WIDEST_PENALTY:
                yield f"{name} is {value}, and must be from -2 to 2"
        if self.logprobs is not None and not 0 <= self.logprobs <= _MOST_LIKELY:
            yield f"logprobs is {self.logprobs}, and must be from 0 to {_MOST_LIKELY}"
        for token, bias in self.logit_bias.items():
            if not abs(bias) <= _WIDEST_BIAS:
                yield f"logit_bias of token {token} is {bias}, and must be from -100 to 100"

    def _faults_of_texts(self) -> Iterator[str]:
        if len(self.stop) > _MOST_STOPS:
            yield f"there are {len(self.stop)} stop texts, and may be {_MOST_STOPS}"
        if any(len(text) > _MOST_STOP_CHARS for text in self.stop):
            yield f"a stop text has more than {_MOST_STOP_CHARS:,} characters"
        if isinstance(self.constraint, OneOf) and not self.constraint.texts:
            yield "the answer is to be one of no texts"
