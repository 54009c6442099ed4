"""A caller's request -> what a model is asked, or a Refusal that names the field."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.api.limits import shown_name
from tunesmith.api.refusal import Refusal
from tunesmith.data.chat import Message
from tunesmith.data.conversation import ROLES, messages_of_cell
from tunesmith.scribe.request import AnyJson, Constraint, JsonSchema, Request
from tunesmith.studio.answering.asked import ChatRequest, CompletionRequest, Sampling
from tunesmith.studio.reading import validated

__all__ = ["Prompt", "Question", "chat_question", "completion_question"]

Prompt = str | tuple[int, ...] | tuple[Message, ...]
"""A text or tokens to go on with, or messages that wait for the next one."""

_SEEDS = 1 << 64
_USUAL_COMPLETION_TOKENS = 16
_OF_MESSAGES = ("role", "content", "name")
_MOST_TOLD = 5
_LATER = "it would be left out of the answer unseen; leave it out"
_TOOLS = "models here call no tools"
_KEPT = "nothing of a request is kept"
_NOT_SUPPORTED: Mapping[str, str] = {
    "audio": "answers are texts",
    "function_call": _TOOLS,
    "functions": _TOOLS,
    "metadata": _KEPT,
    "moderation": "answers are not moderated",
    "parallel_tool_calls": _TOOLS,
    "prediction": _LATER,
    "prompt_cache_key": _KEPT,
    "prompt_cache_options": _KEPT,
    "prompt_cache_retention": _KEPT,
    "reasoning_effort": "models here do not think before they answer",
    "safety_identifier": _KEPT,
    "suffix": "models here write from left to right",
    "tool_choice": _TOOLS,
    "tools": _TOOLS,
    "verbosity": "ask for short answers in the messages, or with `max_tokens`",
    "web_search_options": "models here search nothing",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model, whether it writes or gives labels."""

    model: str
    prompts: tuple[Prompt, ...]
    temperature: float | None
    """None: as is usual for the model"""
    seeds: tuple[int, ...]
    """One for each prompt"""
    how: Mapping[str, Any] = field(default_factory=dict)
    """What else a `Request` takes"""
    stream: bool = False
    include_usage: bool = False

    @property
    def choices(self) -> int:
        """How many answers each prompt has."""
        return int(self.how.get("choices", 1))

    @property
    def texts(self) -> list[str]:
        """What each answer is to be about, for the count of what was asked."""
        return [_said(prompt) for prompt in self.prompts for _ in range(self.choices)]

    def requests(self, usual_temperature: float) -> Iterator[Request]:
        """One for each prompt; raises ConfigError."""
        temperature = usual_temperature if self.temperature is None else self.temperature
        for prompt, seed in zip(self.prompts, self.seeds, strict=True):
            what: dict[str, Any] = {"messages" if _is_chat(prompt) else "prompt": prompt}
            yield Request(**what, temperature=temperature, seed=seed, **self.how)


def chat_question(values: Mapping[str, object]) -> Question:
    """What a chat asks; raises Refusal."""
    asked = validated(_supported(values), ChatRequest)
    likeliest = (asked.top_logprobs or 0) if asked.logprobs else None
    if asked.top_logprobs is not None and not asked.logprobs:
        raise _bad("top_logprobs", "needs `logprobs: true`")
    if asked.max_tokens is not None and asked.max_completion_tokens is not None:
        raise _bad("max_tokens", "is the older name of `max_completion_tokens`; send one of the two")
    limit = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    if limit == 0:
        raise _bad("max_tokens", "must be 1 or more")
    how = {"max_new_tokens": limit, "logprobs": likeliest, "constraint": _constraint(asked)}
    return _question(asked, [tuple(_messages(asked.messages))], how)


def completion_question(values: Mapping[str, object]) -> Question:
    """What a completion asks; raises Refusal."""
    asked = validated(_supported(values), CompletionRequest)
    if asked.best_of not in (None, asked.n or 1):
        raise _bad("best_of", "must be `n`, for all answers are told; take the best of them yourself")
    limit = _USUAL_COMPLETION_TOKENS if asked.max_tokens is None else asked.max_tokens
    if limit == 0 and not asked.echo:
        raise _bad("max_tokens", "may be 0 only where `echo` is true")
    for at, prompt in enumerate(asked.prompt):
        if not prompt:
            raise Refusal(
                "empty-input", f"`prompt[{at}]` is empty; it needs something to read", param="prompt"
            )
    how = {"max_new_tokens": limit, "logprobs": asked.logprobs, "echo": bool(asked.echo)}
    prompts = [prompt if isinstance(prompt, str) else tuple(prompt) for prompt in asked.prompt]
    return _question(asked, prompts, how)


def _question(asked: Sampling, prompts: Sequence[Prompt], how: dict[str, Any]) -> Question:
    if asked.stream_options is not None and not asked.stream:
        raise _bad("stream_options", "needs `stream: true`")
    how |= {
        "choices": asked.n or 1,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "stop": tuple(asked.stop or ()),
        "presence_penalty": asked.presence_penalty or 0.0,
        "frequency_penalty": asked.frequency_penalty or 0.0,
        "logit_bias": {int(token): bias for token, bias in (asked.logit_bias or {}).items()},
    }
    return Question(
        model=asked.model,
        prompts=tuple(prompts),
        temperature=asked.temperature,
        seeds=tuple(_seed(asked.seed) for _ in prompts),
        how=how,
        stream=bool(asked.stream),
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
    )


def _seed(asked: int | None) -> int:
    return secrets.randbits(63) if asked is None else asked % _SEEDS


def _supported(values: Mapping[str, object]) -> dict[str, object]:
    """The fields without those that are null; raise Refusal for what no model here can do."""
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name in _NOT_SUPPORTED:
            message = f"`{name}` is not supported: {_NOT_SUPPORTED[name]}"
            raise Refusal("not-supported", message, param=name)
    return given


def _messages(messages: Sequence[Mapping[str, object]]) -> list[Message]:
    """The messages as training reads them; raises Refusal."""
    said = [{name: value for name, value in each.items() if value is not None} for each in messages]
    for at, message in enumerate(said):
        if others := [name for name in message if name not in _OF_MESSAGES]:
            what = f"`{shown_name(others[0])}` of message {at + 1} is not supported"
            told = f"{what}: a message has role, content and name"
            raise Refusal("not-supported", told, param=f"messages[{at}].{shown_name(others[0])}")
        if isinstance(role := message.get("role"), str) and role not in ROLES:
            # the role that was sent is not told again: it may be a text that slipped
            told = f"the role of message {at + 1} is not known; the roles are {', '.join(ROLES)}"
            raise Refusal("bad-field", told, param=f"messages[{at}].role")
    found, faults = messages_of_cell(said)
    if faults:
        told = "; ".join(fault.what for fault in faults[:_MOST_TOLD])
        raise Refusal("bad-field", told, param="messages")
    return found


def _constraint(asked: ChatRequest) -> Constraint | None:
    form = asked.response_format
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return AnyJson()
    if form.json_schema is None:
        raise _bad("response_format", "of type `json_schema` needs `json_schema`")
    return JsonSchema(form.json_schema.schema_)


def _is_chat(prompt: Prompt) -> bool:
    return isinstance(prompt, tuple) and isinstance(prompt[0], dict)


def _said(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    return "".join(each["content"] if isinstance(each, dict) else " " for each in prompt)


def _bad(param: str, what: str) -> Refusal:
    return Refusal("bad-field", f"`{param}` {what}", param=param)
