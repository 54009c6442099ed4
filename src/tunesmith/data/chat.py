"""Conversations: messages, and messages as the text of a row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = [
    "ASSISTANT",
    "INSTRUCTING",
    "Message",
    "Pair",
    "as_pair_text",
    "as_row_text",
    "before_last_answer",
    "is_answered",
    "is_learned",
    "last_answer",
    "messages_in",
    "pair_in",
    "up_to_last_answer",
]

Message = dict[str, Any]
"""`role` and `content`; where they are given, `name` and `weight` (0: this answer is not learned)."""

Pair = tuple[list[Message], list[Message]]
"""Two answers to a conversation: the one that is preferred, and the one that is rejected."""

ASSISTANT = "assistant"
INSTRUCTING = ("system", "developer")
"""The roles that say how to answer."""


def as_row_text(messages: Sequence[Any]) -> str:
    """The messages as the text of a row: JSON without spaces, equal where the messages are."""
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))


def messages_in(text: str) -> list[Message]:
    """The messages that `as_row_text` wrote; none in an empty text."""
    messages: list[Message] = json.loads(text) if text else []
    return messages


def as_pair_text(preferred: Sequence[Message], rejected: Sequence[Message]) -> str:
    """Both answers as the target of a row, in the form of `as_row_text`."""
    return as_row_text([preferred, rejected])


def pair_in(target: str) -> Pair:
    """The answers that `as_pair_text` wrote."""
    preferred, rejected = json.loads(target)
    return preferred, rejected


def is_answered(messages: Sequence[Message]) -> bool:
    """Whether the assistant has the last word."""
    return bool(messages) and messages[-1]["role"] == ASSISTANT


def is_learned(message: Message) -> bool:
    """Whether this is an answer that the model should learn to give."""
    return message["role"] == ASSISTANT and message.get("weight") != 0


def last_answer(messages: Sequence[Message]) -> str | None:
    """What the assistant says last, None where it never speaks."""
    answers: list[str] = [message["content"] for message in messages if message["role"] == ASSISTANT]
    return answers[-1] if answers else None


def before_last_answer(messages: Sequence[Message]) -> list[Message]:
    """What is said before the assistant speaks for the last time: the prompt of that answer."""
    said = up_to_last_answer(messages)
    return said[:-1] if said and said[-1]["role"] == ASSISTANT else said


def up_to_last_answer(messages: Sequence[Message]) -> list[Message]:
    """The messages without those that follow the last answer; all where there is no answer."""
    places = [at for at, message in enumerate(messages, 1) if message["role"] == ASSISTANT]
    return list(messages[: places[-1]] if places else messages)
