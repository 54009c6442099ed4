"""Pairs: what a model that learned from preferences is judged on, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.chat import messages_in, pair_in
from tunesmith.data.dataset import Dataset
from tunesmith.evaluation.examples import as_read

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
        prompts=[as_read(messages_in(example.text), "user") for example in examples],
        preferred=[as_read(preferred, "assistant") for preferred, _ in answers],
        rejected=[as_read(rejected, "assistant") for _, rejected in answers],
        where=[example.where for example in examples],
    )
