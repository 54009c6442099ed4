"""Write on from prompts, token after token, with what was read kept; rows that are done leave the batch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.errors import ConfigError, Problem
from tunesmith.model.encode import Ids

if TYPE_CHECKING:
    import torch

__all__ = ["Answer", "Decoding", "can_batch", "decode"]


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
        wrong = {
            f"max_new_tokens is {self.max_new_tokens}, and must be at least 1": self.max_new_tokens < 1,
            f"temperature is {self.temperature}, and must be 0 or more": not 0 <= self.temperature < math.inf,
            f"top_p is {self.top_p}, and must be over 0 and at most 1": not 0 < self.top_p <= 1,
            f"seed is {self.seed}, and must be 0 or more": self.seed < 0,
            "a stop text is empty": "" in self.stop,
        }
        problems = [
            Problem("bad-decoding", what, "what was asked of the writer", "give a value that is allowed")
            for what, is_wrong in wrong.items()
            if is_wrong
        ]
        if problems:
            raise ConfigError(problems)


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


def can_batch(model: Any) -> bool:
    """Whether prompts of different lengths can be read side by side: where positions can be told."""
    return {"position_ids", "past_key_values"} <= _parameters(model)


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
        Answer(limit, np.random.default_rng([decoding.seed, *prompt.tolist()]))
        for prompt, limit in zip(prompts, limits, strict=True)
    ]
    model.eval()
    with torch.inference_mode():
        reading = _Cached(model, prompts) if can_batch(model) else _Uncached(model, prompts)
        open_answers = answers
        while open_answers:
            tokens = _chosen(reading.logits, open_answers, decoding)
            for answer, token in zip(open_answers, tokens, strict=True):
                answer.ids.append(token)
                answer.ended = token in end_ids or _stops(tokenizer, answer.ids, decoding.stop)
            kept = [place for place, answer in enumerate(open_answers) if not answer.done]
            open_answers = [open_answers[place] for place in kept]
            if open_answers:
                reading.go_on([tokens[place] for place in kept], kept)
    return answers


class _Cached:
    """Prompts side by side, padded on the left; keys and values of what was read are kept."""

    def __init__(self, model: Any, prompts: Sequence[Ids]) -> None:
        import torch

        self._model = model
        longest = max(len(prompt) for prompt in prompts)
        ids = np.zeros((len(prompts), longest), np.int64)
        mask = np.zeros((len(prompts), longest), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :], mask[row, longest - len(prompt) :] = prompt, 1
        self._mask = torch.from_numpy(mask).to(model.device)
        # transformers would count padding, too
        positions = (self._mask.cumsum(1) - 1).clamp(min=0)
        self._read(torch.from_numpy(ids).to(model.device), positions, None)

    def go_on(self, tokens: Sequence[int], rows: Sequence[int]) -> None:
        """Read one more token in each of `rows`; the other rows leave."""
        import torch

        if len(rows) < len(self._mask):
            kept = torch.tensor(rows, device=self._mask.device)
            self._cache.batch_select_indices(kept)
            self._mask = self._mask[kept]
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        ids = torch.tensor(tokens, device=self._mask.device)[:, None]
        self._read(ids, self._mask.sum(1, keepdim=True) - 1, self._cache)

    def _read(self, ids: torch.Tensor, positions: torch.Tensor, cache: Any) -> None:
        only_last = {"logits_to_keep": 1} if "logits_to_keep" in _parameters(self._model) else {}
        answer = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **only_last,
        )
        self._cache = answer.past_key_values
        self.logits: torch.Tensor = answer.logits[:, -1]  # (rows, vocabulary)


class _Uncached:
    """One prompt that is read anew for each token: right for any architecture."""

    def __init__(self, model: Any, prompts: Sequence[Ids]) -> None:
        (prompt,) = prompts
        self._model, self._ids = model, prompt.tolist()
        self._read()

    def go_on(self, tokens: Sequence[int], rows: Sequence[int]) -> None:  # noqa: ARG002 (there is but one)
        """Read one more token."""
        self._ids += tokens
        self._read()

    def _read(self) -> None:
        import torch

        ids = torch.tensor([self._ids], device=self._model.device)
        answer = self._model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
        self.logits: torch.Tensor = answer.logits[:, -1]


def _parameters(model: Any) -> set[str]:
    return set(inspect.signature(model.forward).parameters)


def _chosen(logits: torch.Tensor, answers: Sequence[Answer], decoding: Decoding) -> list[int]:
    """The next token of each row."""
    import torch

    if not decoding.temperature:
        likeliest: list[int] = logits.argmax(-1).tolist()
        return likeliest
    # shifted first: a low temperature must not make them infinite
    logits = logits.double() - logits.amax(-1, keepdim=True).double()
    shares, tokens = (logits / decoding.temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
    below = shares.cumsum(-1)
    shares = shares.where(below - shares < decoding.top_p, 0.0)
    drawn = torch.tensor([[answer.random.random()] for answer in answers], dtype=torch.float64)
    reached = shares.cumsum(-1)
    places = torch.searchsorted(reached, drawn.to(logits.device) * reached[:, -1:], right=True)
    last = (shares > 0).sum(-1, keepdim=True) - 1
    return tokens.gather(1, places.minimum(last))[:, 0].tolist()


def _stops(tokenizer: Any, ids: Sequence[int], stop: Sequence[str]) -> bool:
    """Whether a stop text stands at the end of what was written."""
    if not stop:
        return False
    # a token is a byte at least; a few more, as one cut in two is read as something else
    longest = max(len(text.encode()) for text in stop) + 4
    tail = tokenizer.decode(ids[-longest:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return any(text in tail for text in stop)
