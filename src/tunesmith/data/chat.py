"""Conversations: what a cell says as messages, and messages as the text of a row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["ASSISTANT", "Message", "as_row_text", "last_answer", "messages_in"]

Message = dict[str, Any]
"""`role` and `content`; where they are given, `name` and `weight` (0: this answer is not learned)."""

ASSISTANT = "assistant"


def as_row_text(messages: Sequence[Message]) -> str:
    """The messages as the text of a row: JSON without spaces, equal where the messages are."""
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))


def messages_in(text: str) -> list[Message]:
    """The messages that `as_row_text` wrote; none in an empty text."""
    messages: list[Message] = json.loads(text) if text else []
    return messages


def last_answer(messages: Sequence[Message]) -> str | None:
    """What the assistant says last, None where it never speaks."""
    answers = [message["content"] for message in messages if message["role"] == ASSISTANT]
    return answers[-1] if answers else None
