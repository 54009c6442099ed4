"""Pairs: what a model that learned from preferences is judged on, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.chat import Message, messages_in, pair_in
from tunesmith.data.dataset import Dataset

__all__ = ["Pairs", "pairs_of"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Prompts with their preferred and rejected answers, and file:line of each."""

    prompts: Sequence[str]
    preferred: Sequence[str]
    rejected: Sequence[str]
    where: Sequence[str]

    def __len__(self) -> int:
        return len(self.prompts)


def pairs_of(dataset: Dataset) -> Pairs:
    """The rows of a checked dataset."""
    examples = list(dataset)
    answers = [pair_in(str(example.target)) for example in examples]
    return Pairs(
        prompts=[_as_read(messages_in(example.text), "user") for example in examples],
        preferred=[_as_read(preferred, "assistant") for preferred, _ in answers],
        rejected=[_as_read(rejected, "assistant") for _, rejected in answers],
        where=[example.where for example in examples],
    )


def _as_read(messages: Sequence[Message], role: str) -> str:
    """What is said, with who says what where it is not one message of `role`."""
    if [message["role"] for message in messages] == [role]:
        return str(messages[0]["content"])
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)
