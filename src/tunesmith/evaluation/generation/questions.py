"""Questions: what a model that writes is asked, and what it should have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.data.chat import before_last_answer, messages_in
from tunesmith.data.dataset import Dataset
from tunesmith.data.render import messages_of
from tunesmith.evaluation.examples import as_read
from tunesmith.task import Task

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


def questions_of(dataset: Dataset) -> Questions:
    """The rows of a checked dataset; of a chat, what is said before its last answer is the question."""
    task, examples = dataset.task, list(dataset)
    assert task.kind == "completion" or task.kind == "chat", "a task that gives labels asks nothing"
    return Questions(
        kind=task.kind,
        prompts=[_prompt(task, example.text) for example in examples],
        references=[_text(example.target) for example in examples],
        where=[example.where for example in examples],
        conversations=[before_last_answer(messages_of(task, example.text)) for example in examples],
    )


def _text(target: Any) -> str:
    assert isinstance(target, str), "the check lets no row through that has nothing to learn"
    return target


def _prompt(task: Task, text: str) -> str:
    return text if task.kind == "completion" else as_read(before_last_answer(messages_in(text)), "user")


def last_question(questions: Questions, row: int) -> str:
    """The prompt; of a chat what the person said last."""
    if questions.kind == "completion" or not questions.conversations:
        return questions.prompts[row]
    said = [message for message in questions.conversations[row] if message["role"] == "user"]
    return str(said[-1].get("content") or "") if said else questions.prompts[row]
