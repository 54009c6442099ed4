"""Questions: what a model that writes is asked, and what it should have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Conversation", "Questions"]

Conversation = Sequence[Mapping[str, str]]
"""Messages with role and content, up to where the answer begins."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Prompts as people read them, their references, and file:line of each; one conversation for each prompt.

    `conversations` may be left out where no model is asked.
    """

    kind: Literal["completion", "chat"]
    prompts: Sequence[str]
    references: Sequence[str]
    where: Sequence[str]
    conversations: Sequence[Conversation] = ()

    def __post_init__(self) -> None:
        assert len(self.prompts) == len(self.references) == len(self.where), "one reference a prompt"
        assert len(self.conversations) in (0, len(self.prompts)), "one conversation a prompt, or none"

    def __len__(self) -> int:
        return len(self.prompts)
