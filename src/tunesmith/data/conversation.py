"""A cell -> messages, and everything that is wrong with them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from tunesmith.data.cells import CellError
from tunesmith.data.chat import ASSISTANT, Message
from tunesmith.data.formats.encoding import without_bad_chars
from tunesmith.data.problems import shown

__all__ = ["ROLES", "holds_messages", "messages_of_cell", "unwrapped"]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_FORM = 'write messages as [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'
_TOOLS = ("tool_calls", "function_call")


def holds_messages(cell: object) -> bool:
    """Whether a cell is a list of objects, itself or as JSON."""
    messages = _listed(cell)
    return bool(messages) and all(isinstance(message, dict) for message in messages or ())


def unwrapped(cell: object) -> object:
    """What a cell says, without the object that OpenAI's rows of preferences put around their messages."""
    said = _parsed(cell, "{")
    return said["messages"] if isinstance(said, dict) and "messages" in said else cell


def messages_of_cell(cell: object) -> tuple[list[Message], list[CellError]]:
    """The messages of a cell in one form, and every fault that forbids to learn from them.

    Text parts of a content are joined by line breaks; what is no `role`, `content` or `name`, nor the
    `weight` 0 of an answer, is left out.
    """
    said = _listed(cell)
    if said is None:
        return [], [CellError("bad-messages", f"the cell holds {_kind(cell)}, not a list of messages", _FORM)]
    if not said:
        return [], [CellError("bad-messages", "the list of messages is empty", _FORM)]
    faults = [fault for at, message in enumerate(said, 1) for fault in _faults(at, message)]
    return (
        [] if faults else [_in_one_form(message) for message in said if isinstance(message, dict)]
    ), faults


def _listed(cell: object) -> list[object] | None:
    said = _parsed(cell, "[")
    return said if isinstance(said, list) else None


def _parsed(cell: object, begins: str) -> object:
    """What a text says that begins so, None where it is no JSON; other cells as they are."""
    if not (isinstance(cell, str) and cell.lstrip().startswith(begins)):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _kind(cell: object) -> str:
    match cell:
        case None | "":
            return "nothing"
        case str():
            return "a text"
        case dict():
            return "one object"
        case _:
            return f"a {type(cell).__name__}"


def _faults(at: int, message: object) -> Iterator[CellError]:
    if not isinstance(message, dict):
        what = f"message {at} is {_kind(message)}, not an object with `role` and `content`"
        yield CellError("bad-messages", what, _FORM)
        return
    yield from _role_faults(at, message.get("role"))
    if any(message.get(name) for name in _TOOLS):
        fix = "leave such conversations out, or write the call as the text of an answer"
        yield CellError("tool-calls", f"message {at} calls a tool, which cannot be learned", fix)
    elif _content(message.get("content")) is None:
        what = f"the content of message {at} is {_kind(message.get('content'))}, not a text"
        yield CellError(
            "bad-content", what, "write the content as one text; pictures and sound are not learned"
        )
    if not _is_weight(message.get("weight")):
        what = f"the weight of message {at} is {message['weight']!r}, and can only be 0 or 1"
        yield CellError("bad-weight", what, "0: do not learn this answer; 1, or no weight: learn it")


def _role_faults(at: int, role: object) -> Iterator[CellError]:
    if role in ROLES:
        return
    near = difflib.get_close_matches(str(role).casefold(), ROLES, n=1)
    fix = f"did you mean {near[0]!r}? " if near else ""
    what = f"message {at} has no role" if role is None else f"message {at} has the role {shown(str(role))}"
    yield CellError("unknown-role", what, f"{fix}the roles are {', '.join(ROLES)}")


def _is_weight(weight: object) -> bool:
    return weight is None or (not isinstance(weight, bool) and weight in (0, 1))


def _content(content: object) -> str | None:
    """The text of a content, None where it is something else."""
    match content:
        case str():
            return without_bad_chars(content)[0]
        case [_, *_] as parts:
            texts = map(_text_of_part, parts)
            joined = [without_bad_chars(text)[0] for text in texts if isinstance(text, str)]
            return "\n".join(joined) if len(joined) == len(parts) else None
        case _:
            return None


def _text_of_part(part: object) -> object:
    match part:
        case {"type": "text", "text": text}:
            return text
        case _:
            return None


def _in_one_form(message: dict[str, object]) -> Message:
    said: Message = {"role": message["role"], "content": _content(message["content"])}
    if isinstance(name := message.get("name"), str):
        said["name"] = without_bad_chars(name)[0]
    if said["role"] == ASSISTANT and message.get("weight") == 0:
        said["weight"] = 0
    return said
