"""Questions: what a model that writes is asked, and what it should have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.data.dataset import Dataset

__all__ = ["Conversation", "Questions", "last_question", "questions_of"]

Conversation = Sequence[Mapping[str, Any]]
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


def questions_of(dataset: Dataset, conversations: Sequence[Conversation]) -> Questions:
    """The rows of a checked dataset; `conversations` are what a model reads of each, its answer left out."""
    kind = dataset.task.kind
    assert kind in ("completion", "chat"), "a task that gives labels asks nothing"
    examples = list(dataset)
    return Questions(
        kind="chat" if kind == "chat" else "completion",
        prompts=[_as_read(said) for said in conversations] if kind == "chat" else dataset.texts,
        references=[_text(example.target) for example in examples],
        where=[example.where for example in examples],
        conversations=conversations,
    )


def _text(target: Any) -> str:
    assert isinstance(target, str), "the check lets no row through that has nothing to learn"
    return target


def _as_read(conversation: Conversation) -> str:
    """What the person says, with who says what where there is more than that."""
    said = [(str(message["role"]), str(message.get("content") or "")) for message in conversation]
    if [role for role, _ in said] == ["user"]:
        return said[0][1]
    return "\n".join(f"{role}: {content}" for role, content in said)


def last_question(questions: Questions, row: int) -> str:
    """The prompt; of a chat what the person said last."""
    if questions.kind == "completion" or not questions.conversations:
        return questions.prompts[row]
    said = [message for message in questions.conversations[row] if message["role"] == "user"]
    return str(said[-1].get("content") or "") if said else questions.prompts[row]
