"""The three forms of a line of training data, and all that can be wrong with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Literal

from tunesmith.data.cells import CellError
from tunesmith.data.chat import ASSISTANT, Message, is_learned
from tunesmith.data.conversation import messages_of_cell
from tunesmith.data.problems import shown

__all__ = ["Form", "faults_of", "form_of", "said_in"]

Form = Literal["chat", "prompt", "preference"]
"""`{"messages"}`, `{"prompt", "completion"}`, or `{"input", "preferred_output", "non_preferred_output"}`"""

_KEYS: Mapping[Form, frozenset[str]] = {
    "chat": frozenset({"messages", "tools", "functions", "parallel_tool_calls"}),
    "prompt": frozenset({"prompt", "completion"}),
    "preference": frozenset({"input", "preferred_output", "non_preferred_output"}),
}
_INPUT_KEYS = frozenset({"messages", "tools", "parallel_tool_calls"})
_MESSAGE_KEYS = frozenset(
    {"role", "content", "name", "function_call", "tool_calls", "tool_call_id", "weight"}
)
_MARKS: Mapping[str, Form] = {"messages": "chat", "prompt": "prompt", "input": "preference"}
_SAID = ("messages", "input", "preferred_output", "non_preferred_output")
_WORDS = ("prompt", "completion", "content", "text")
_MOST_MESSAGES = 2048
_FILL = "fill it in, or leave the line out"


def form_of(values: Mapping[str, object]) -> Form | None:
    """The form of a line by its keys, None where it has none."""
    return next((form for mark, form in _MARKS.items() if mark in values), None)


def said_in(value: object) -> Iterator[str]:
    """Whatever is said in an example; names and roles are not."""
    match value:
        case list():
            yield from chain.from_iterable(map(said_in, value))
        case dict():
            for name in (*_SAID, *_WORDS):
                found = value.get(name)
                yield from [found] if isinstance(found, str) else said_in(found)


def faults_of(values: Mapping[str, object], form: Form) -> list[CellError]:
    """Everything that forbids to learn from a line of this form; raises CellError where it is too much."""
    check = {"chat": _of_chat, "prompt": _of_prompt, "preference": _of_preference}[form]
    return [*_stray(values, _KEYS[form], "the line"), *check(values)]


def _stray(values: Mapping[str, object], known: frozenset[str], where: str) -> Iterator[CellError]:
    for key in values.keys() - known:
        fix = f"leave it out; the keys are {', '.join(sorted(known))}"
        yield CellError("stray-key", f"{where} has the key {shown(key)}, which means nothing here", fix)


def _of_chat(values: Mapping[str, object]) -> Iterator[CellError]:
    messages, faults = messages_of_cell(_listed(values.get("messages")))
    yield from faults
    if not faults:
        yield from _message_keys(values.get("messages"))
        yield from _of_conversation(messages)


def _listed(cell: object) -> object:
    # a text is not read as a list that was written down: the API takes lists
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        return {}
    if isinstance(cell, list) and len(cell) > _MOST_MESSAGES:
        what = f"the conversation has {len(cell):,} messages, over {_MOST_MESSAGES:,}"
        raise CellError("bad-messages", what, "split it, or leave the line out")
    return cell


def _message_keys(messages: object) -> Iterator[CellError]:
    if not isinstance(messages, list):
        return
    for at, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            continue
        yield from _stray(message, _MESSAGE_KEYS, f"message {at}")
        if "weight" in message and message.get("role") != ASSISTANT:
            what = f"message {at} has a weight and is not the assistant's"
            yield CellError("bad-weight", what, "leave it out: only answers are learned")
        if not isinstance(message.get("name", ""), str):
            yield CellError("bad-messages", f"the name in message {at} is not a text", "write it as a text")


def _of_conversation(messages: list[Message]) -> Iterator[CellError]:
    answers = [message for message in messages if message["role"] == ASSISTANT]
    if not answers:
        yield CellError("no-answer", "the assistant says nothing", "add its answer, or leave the line out")
        return
    if messages[-1]["role"] != ASSISTANT:
        yield CellError("last-not-answer", "the last message is not the assistant's", "end with its answer")
    if not any(map(is_learned, answers)):
        yield CellError("nothing-learned", "every answer has the weight 0", "take the weight from one")
    if any(is_learned(answer) and not answer["content"].strip() for answer in answers):
        yield CellError("empty-completion", "an answer to be learned is empty", _FILL)


def _of_prompt(values: Mapping[str, object]) -> Iterator[CellError]:
    for name in ("prompt", "completion"):
        if not isinstance(values.get(name), str):
            what = f"the {name} is missing" if name not in values else f"the {name} is not a text"
            yield CellError("bad-cell", what, "write it as a text")
    completion = values.get("completion")
    if isinstance(completion, str) and not completion.strip():
        yield CellError("empty-completion", "the completion is empty", _FILL)


def _of_preference(values: Mapping[str, object]) -> Iterator[CellError]:
    asked = values.get("input")
    if not isinstance(asked, dict):
        fix = 'write it as {"messages": [{"role": "user", "content": "…"}]}'
        yield CellError("bad-messages", "the input is not an object with `messages`", fix)
    else:
        yield from _stray(asked, _INPUT_KEYS, "the input")
        yield from messages_of_cell(_listed(asked.get("messages")))[1]
        yield from _message_keys(asked.get("messages"))
    for name in ("preferred_output", "non_preferred_output"):
        yield from _of_output(name, values.get(name))


def _of_output(name: str, cell: object) -> Iterator[CellError]:
    messages, faults = messages_of_cell(_listed(cell))
    yield from faults
    if faults:
        return
    yield from _message_keys(cell)
    if messages[-1]["role"] != ASSISTANT:
        what = f"`{name}` does not end with an answer of the assistant"
        yield CellError("last-not-answer", what, "end with its answer")
    elif not messages[-1]["content"].strip():
        yield CellError("empty-completion", f"the answer in `{name}` is empty", _FILL)
