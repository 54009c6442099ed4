"""Writer: prompts -> what the model writes. Evaluation, the command line and serving share it: no skew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.data.chat import Message
from tunesmith.data.render import instructed, render_prompt
from tunesmith.errors import ConfigError, Problem
from tunesmith.model.decoding import Answer, Decoding, decode
from tunesmith.model.encode import Encoded, Ids, micro_batches
from tunesmith.model.forward import Floats, softmax
from tunesmith.model.generator import Generator, answer_ids
from tunesmith.model.reading import can_batch
from tunesmith.model.targets import encode_segments
from tunesmith.model.trie import log_likelihoods
from tunesmith.predict import in_chunks
from tunesmith.recipe import Recipe
from tunesmith.task import Task

__all__ = ["Prompt", "Writer", "Written", "writer_for"]

Prompt = str | Sequence[Mapping[str, Any]]
"""A conversation that waits for its next answer, or what a user says first."""

_CHUNK_PROMPTS = 256


@dataclass(frozen=True, slots=True)
class Written:
    """What was written after a prompt."""

    text: str
    tokens: int
    """How many were written, the end of the turn included"""
    prompt_tokens: int
    """How many tokens of the prompt were read"""
    finish_reason: Literal["stop", "length"]
    """`stop`: it came to its end, or to a stop text; `length`: it was as long as it may be"""
    truncated: bool = False
    """Whether the prompt was longer than the model reads, and lost its beginning"""


class Writer:
    """A language model that answers prompts; an answer does not depend on what it is batched with."""

    def __init__(
        self,
        generator: Generator,
        max_tokens: int,
        micro_batch_tokens: int = 8192,
        *,
        max_new_tokens: int = 256,
        instruction: str | None = None,
    ) -> None:
        self.generator = generator
        self.max_tokens = max_tokens
        """The most tokens of prompt and answer together"""
        self.micro_batch_tokens = micro_batch_tokens
        self.max_new_tokens = max_new_tokens
        """The most tokens of an answer, unless `write` is told otherwise"""
        self.instruction = instruction
        """What is said before a prompt that has no system message"""

    def write(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: Sequence[str] = (),
    ) -> list[Written]:
        """An answer for each prompt, in order; the likeliest tokens, unless `temperature` is over 0.

        An answer ends where its turn ends, before a text of `stop`, or after `max_new_tokens`, where that is
        None those of the writer. A long prompt
        loses its beginning, so that the answer has room: at least `max_new_tokens`, or half of `max_tokens`
        where this is less. The same prompt and `seed` give the same answer. Raises ConfigError.
        """
        most = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        decoding = Decoding(most, temperature, top_p, seed, tuple(stop))
        if not prompts:
            return []
        encoded = self.encode(prompts, room=min(most, (self.max_tokens + 1) // 2))
        answers = self._answers(encoded, decoding)
        return [self._written(answer, encoded, row, decoding) for row, answer in enumerate(answers)]

    def stream(
        self, prompts: Iterable[Prompt], *, chunk_prompts: int | None = None, **how: Any
    ) -> Iterator[Written]:
        """Answers one by one, in order; memory does not grow with the number of prompts.

        `how` is what `write` takes. Prompts are read `chunk_prompts` at a time, which changes no answer.
        """
        for chunk in in_chunks(prompts, chunk_prompts or _CHUNK_PROMPTS):
            yield from self.write(chunk, **how)

    def choose(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> Floats:
        """(prompts, labels) how probable each label is as the whole answer, where one of them is given.

        Raises ConfigError where a label leaves no room for a prompt.
        """
        names = [self._name(label) for label in labels]
        longest = max(len(name) for name in names)
        if longest >= self.max_tokens:
            what = f"a label has {longest:,} tokens, and prompt and answer together have {self.max_tokens:,}"
            fix = "give shorter labels, or train with a larger max_tokens"
            raise ConfigError(Problem("label-too-long", what, "the labels to choose among", fix))
        encoded = self.encode(prompts, room=longest)
        rows = [encoded[row] for row in range(len(encoded))]
        model, pad_token_id = self.generator.model, self.generator.tokenizer.pad_token_id
        return softmax(log_likelihoods(model, rows, names, pad_token_id, self.micro_batch_tokens))

    def encode(self, prompts: Sequence[Prompt], room: int) -> Encoded:
        """The token ids that are read; a long prompt loses its beginning, so that an answer has `room`."""
        template = self.generator.template
        rows = [render_prompt(self._messages(prompt), template) for prompt in prompts]
        return encode_segments(self.generator.tokenizer, rows, self.max_tokens - room).encoded

    def _messages(self, prompt: Prompt) -> Sequence[Message]:
        said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return instructed([dict(message) for message in said], self.instruction)

    def _name(self, label: str) -> Ids:
        """The tokens of a label as an answer, up to the end of the turn."""
        ids = answer_ids(self.generator.tokenizer, label)
        ends = self.generator.end_ids
        lengths = [length for length, token in enumerate(ids.tolist(), 1) if token in ends]
        return ids[: lengths[0]] if lengths else ids

    def _answers(self, encoded: Encoded, decoding: Decoding) -> list[Answer]:
        left = (max(1, self.max_tokens - length) for length in encoded.lengths.tolist())
        limits = [min(decoding.max_new_tokens, room) for room in left]
        costs = (encoded.lengths + limits).tolist()
        budget = self.micro_batch_tokens if can_batch(self.generator.model) else 1
        answers: dict[int, Answer] = {}
        for group in micro_batches(costs, budget):
            found = decode(
                self.generator.model,
                self.generator.tokenizer,
                [encoded[row] for row in group],
                [limits[row] for row in group],
                self.generator.end_ids,
                decoding,
            )
            answers |= zip(group, found, strict=True)
        return [answers[row] for row in range(len(encoded))]

    def _written(self, answer: Answer, encoded: Encoded, row: int, decoding: Decoding) -> Written:
        ends = self.generator.end_ids
        ids = [token for token in answer.ids if token not in ends]
        text: str = self.generator.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        stops = [at for at in map(text.find, decoding.stop) if at >= 0]
        return Written(
            text=text[: min(stops, default=len(text))],
            tokens=len(answer.ids),
            prompt_tokens=int(encoded.lengths[row]),
            finish_reason="stop" if answer.ended else "length",
            truncated=bool(encoded.truncated[row]),
        )


def writer_for(generator: Generator, recipe: Recipe, task: Task) -> Writer:
    """What writes with a model as the recipe, which is resolved, says, after the task's instruction."""
    assert recipe.max_tokens is not None
    assert recipe.max_new_tokens is not None
    return Writer(
        generator,
        recipe.max_tokens,
        recipe.micro_batch_tokens,
        max_new_tokens=recipe.max_new_tokens,
        instruction=task.instruction,
    )
