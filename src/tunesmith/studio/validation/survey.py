"""Whether a file teaches to write, or to choose one of a few labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tunesmith.data.chat import ASSISTANT, INSTRUCTING
from tunesmith.data.formats.openai import flattened

__all__ = ["FEWEST_EXAMPLES", "Survey", "labels_taught"]

FEWEST_EXAMPLES = 10
"""A training file has at least as many"""

_MOST_LABELS = 100
_LONGEST_LABEL_CHARS = 100
_FEWEST_OF_A_LABEL = 3


@dataclass(slots=True)
class Survey:
    """What is counted over the lines of a file; it does not grow with them."""

    examples: int = 0
    answers: Counter[str] | None = field(default_factory=Counter)
    """How often each answer is given; None once they cannot be labels"""
    instructions: set[str] = field(default_factory=set)
    """What is said before all else; labels are learned only where it is the same in all lines"""

    def add(self, values: dict[str, object]) -> None:
        """Count a line that is a chat, or a prompt and its completion."""
        self.examples += 1
        if self.answers is None:
            return
        instruction = _single_turn(values)
        answer = flattened(values).get("label")
        if instruction is None or not isinstance(answer, str) or not _may_be_label(answer):
            self.answers = None
            return
        self.instructions.add(instruction)
        self.answers[answer] += 1
        if len(self.answers) > _MOST_LABELS or len(self.instructions) > 1:
            self.answers = None


def _may_be_label(answer: str) -> bool:
    return 0 < len(answer) <= _LONGEST_LABEL_CHARS and "\n" not in answer


def _single_turn(values: Mapping[str, object]) -> str | None:
    """What is said before the one question that has one answer; None where there is more."""
    messages = values.get("messages")
    if messages is None:
        prompt = values.get("prompt")
        return "" if isinstance(prompt, str) and prompt.strip() else None
    assert isinstance(messages, list), "the line was found good"
    before = [str(message["content"]) for message in messages if message["role"] in INSTRUCTING]
    said = [message for message in messages if message["role"] not in INSTRUCTING]
    roles = [message["role"] for message in said]
    if roles != ["user", ASSISTANT] or not str(said[0]["content"]).strip():
        return None
    return "\n".join(before)


def labels_taught(train: Survey, validation: Survey | None) -> tuple[str, ...]:
    """The labels, sorted, that the answers are; none where the model is to write.

    They are labels where each line is one question and one answer, after the same instruction; where the
    answers are at most 100 different ones, of one line and 100 characters, that differ in more than case and
    spaces; where each is given at least three times, and two lines in the mean or more have the same; and
    where the validation file has no others.
    """
    answers = train.answers
    if answers is None or not 2 <= len(answers) <= train.examples / 2:
        return ()
    if min(answers.values()) < _FEWEST_OF_A_LABEL:
        return ()
    if len({" ".join(answer.casefold().split()) for answer in answers}) < len(answers):
        return ()
    if validation is not None and not _answers_alike(train, validation):
        return ()
    return tuple(sorted(answers))


def _answers_alike(train: Survey, validation: Survey) -> bool:
    return (
        validation.answers is not None
        and validation.answers.keys() <= (train.answers or {}).keys()
        and validation.instructions <= train.instructions
    )
