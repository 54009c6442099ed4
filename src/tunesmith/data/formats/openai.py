"""OpenAI fine-tuning rows -> text and label: chat `messages`, preferences, and `prompt` and `completion`."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.data.chat import ASSISTANT, Message

__all__ = ["flattened", "text_before_answer", "with_messages"]

_NOT_THE_USERS = frozenset({"system", "developer"})


def with_messages(values: dict[str, object]) -> dict[str, object]:
    """The cells of a row of preferences with the "messages" that are preferred; others as they are.

    Where there is a rejected answer too, the "input" stays, so that the row can be read as the pair it is.
    """
    match values:
        case {"input": {"messages": [*messages]}, "preferred_output": [*answer]} if "messages" not in values:
            rest = {
                name: cell
                for name, cell in values.items()
                if name != "input" or "non_preferred_output" in values
            }
            return {"messages": [*messages, *answer], **rest}
        case _:
            return values


def flattened(values: dict[str, object]) -> dict[str, object]:
    """The cells with "text" and "label" added where they are an OpenAI row, else as they are."""
    if "text" in values or "label" in values:
        return values
    match values:
        case {"messages": [*messages]}:
            text, label = _conversation(messages)
        case {"prompt": str() as text, "completion": str() as completion}:
            label = completion.strip()
        case _:
            return values
    return {**values, "text": text, "label": label}


def text_before_answer(messages: Sequence[Message]) -> str:
    """The text of a row whose `messages` are these and then an answer: what is read to give its label."""
    return _conversation([*messages, {"role": ASSISTANT, "content": ""}])[0]


def _conversation(messages: list[object]) -> tuple[str, str | None]:
    """What was said before the assistant's last word, and that word, None where it is not the last."""
    turns = [
        (role, _content(message)) for message in messages if (role := _role(message)) not in _NOT_THE_USERS
    ]
    label = None
    if turns and turns[-1][0] == "assistant":
        label = turns.pop()[1].strip()
    turns = [turn for turn in turns if turn[1]]
    if len(turns) == 1:
        return turns[0][1], label
    return "\n".join(f"{role}: {content}" for role, content in turns), label


def _role(message: object) -> str:
    return str(message.get("role", "user")) if isinstance(message, dict) else "user"


def _content(message: object) -> str:
    """The words of a message; of a list of parts, those of its text parts."""
    content = message.get("content") if isinstance(message, dict) else message
    match content:
        case str():
            return content
        case [*parts]:
            texts = [part.get("text") for part in parts if isinstance(part, dict)]
            return "\n".join(text for text in texts if isinstance(text, str))
        case _:
            return ""
