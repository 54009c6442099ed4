"""Write on from prompts, token after token, with what was read kept; rows that are done leave the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tunesmith.errors import ConfigError, Problem
from tunesmith.model.encode import Ids
from tunesmith.model.reading import Cached, Uncached, can_batch
from tunesmith.model.sampling import draw

__all__ = ["Answer", "Decoding", "decode", "decoding_faults", "randomness", "refuse_faults"]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How each next token is chosen, and when an answer ends. Raises ConfigError with all that is wrong."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0: always the likeliest token"""
    top_p: float = 1.0
    """Only the likeliest tokens that make up this much of the probability"""
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end an answer before they are in it"""

    def __post_init__(self) -> None:
        refuse_faults(list(decoding_faults(self)))


class _Settings(Protocol):
    """What all who ask for text to be written may say."""

    @property
    def max_new_tokens(self) -> int | None: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def stop(self) -> tuple[str, ...]: ...


def decoding_faults(asked: _Settings, *, least_tokens: int = 1) -> Iterator[str]:
    """What is wrong with the settings of one who asks for `least_tokens` or more, in words."""
    if asked.max_new_tokens is not None and asked.max_new_tokens < least_tokens:
        yield f"max_new_tokens is {asked.max_new_tokens}, and must be at least {least_tokens}"
    if not 0 <= asked.temperature < math.inf:
        yield f"temperature is {asked.temperature}, and must be 0 or more"
    if not 0 < asked.top_p <= 1:
        yield f"top_p is {asked.top_p}, and must be over 0 and at most 1"
    if asked.seed < 0:
        yield f"seed is {asked.seed}, and must be 0 or more"
    if "" in asked.stop:
        yield "a stop text is empty"


def refuse_faults(faults: Sequence[str]) -> None:
    """Raise ConfigError with all that is wrong with how text is to be written, where anything is."""
    where, fix = "what was asked of the writer", "give a value that is allowed"
    if faults:
        raise ConfigError([Problem("bad-decoding", what, where, fix) for what in faults])


def randomness(seed: int, prompt: Ids, choice: int = 0) -> np.random.Generator:
    """What is drawn after a prompt: it depends on these alone."""
    key = (choice,) if choice else ()
    return np.random.default_rng(np.random.SeedSequence([seed, *prompt.tolist()], spawn_key=key))


@dataclass(slots=True)
class Answer:
    """The tokens of one answer, as far as they are written."""

    limit: int
    random: np.random.Generator
    ids: list[int] = field(default_factory=list)
    ended: bool = False
    """Whether it came to its end; else it is as long as it may be"""

    @property
    def done(self) -> bool:
        """Whether nothing more is to be written."""
        return self.ended or len(self.ids) == self.limit


def decode(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Ids],
    limits: Sequence[int],
    end_ids: Sequence[int],
    decoding: Decoding,
) -> list[Answer]:
    """An answer for each prompt, of at most `limits` tokens; one prompt only where `can_batch` denies more.

    What is drawn depends on seed and prompt, and on nothing else.
    """
    import torch

    answers = [
        Answer(limit, randomness(decoding.seed, prompt))
        for prompt, limit in zip(prompts, limits, strict=True)
    ]
    model.eval()
    with torch.inference_mode():
        reading = Cached(model, prompts) if can_batch(model) else Uncached(model, prompts)
        open_answers = answers
        while open_answers:
            count = len(open_answers)
            randoms = [answer.random for answer in open_answers]
            tokens = draw(reading.logits, [decoding.temperature] * count, [decoding.top_p] * count, randoms)
            for answer, token in zip(open_answers, tokens, strict=True):
                answer.ids.append(token)
                answer.ended = token in end_ids or _stops(tokenizer, answer.ids, decoding.stop)
            kept = [place for place, answer in enumerate(open_answers) if not answer.done]
            open_answers = [open_answers[place] for place in kept]
            if open_answers:
                reading.go_on([tokens[place] for place in kept], kept)
    return answers


def _stops(tokenizer: Any, ids: Sequence[int], stop: Sequence[str]) -> bool:
    """Whether a stop text stands at the end of what was written."""
    if not stop:
        return False
    # a token is a byte at least; a few more, as one cut in two is read as something else
    longest = max(len(text.encode()) for text in stop) + 4
    tail = tokenizer.decode(ids[-longest:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return any(text in tail for text in stop)
