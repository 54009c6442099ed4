"""What callers may ask of a model, as models; the OpenAPI schema is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from tunesmith.data.conversation import ROLES
from tunesmith.studio.asked import Strict, Text

__all__ = [
    "MOST_CHOICES",
    "MOST_PROMPTS",
    "ChatRequest",
    "CompletionRequest",
    "ResponseFormat",
    "Sampling",
    "StreamOptions",
]

MOST_CHOICES, MOST_PROMPTS = 16, 64
"""Answers to one prompt, and prompts of one request"""
_MOST_STOPS, _MOST_STOP_CHARS = 4, 1000
_MOST_TOKENS = 1 << 20
_MOST_BIASES, _WIDEST_BIAS = 300, 100
_MOST_LIKELY_CHAT, _MOST_LIKELY_TEXT = 20, 5
_MOST_MESSAGES = 2048
_SEEDS = 1 << 63

Stop = Annotated[str, StringConstraints(min_length=1, max_length=_MOST_STOP_CHARS)]
TokenId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}$")]
Bias = Annotated[float, Field(ge=-_WIDEST_BIAS, le=_WIDEST_BIAS)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_prompts(value: object) -> object:
    """A text, some texts, some tokens, or some of those, as a list of prompts."""
    match value:
        case str():
            return [value]
        case [int(), *_] if not isinstance(value[0], bool):
            return [value]
        case list() if all(isinstance(each, str) for each in value) or all(map(_is_tokens, value)):
            return value
        case _:
            what = "it must be a text, a list of texts, a list of tokens, or a list of such lists"
            raise PydanticCustomError("prompt", what)


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and all(type(each) is int for each in value)


_TEXT, _TOKENS = {"type": "string"}, {"type": "array", "items": {"type": "integer"}}
Prompts = Annotated[
    list[Any],
    BeforeValidator(_as_prompts),
    Field(min_length=1, max_length=MOST_PROMPTS),
    WithJsonSchema(
        {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}, _TOKENS, {"type": "array", "items": _TOKENS}]}
    ),
]


class StreamOptions(Strict):
    """What a stream tells beside the answer."""

    include_usage: bool | None = None
    """Whether a last chunk without choices tells what the request came to."""

    include_obfuscation: Literal[False] | None = None
    """Chunks are never padded."""


class Sampling(Strict):
    """What chats and completions have in common; null is what is left out."""

    model: Text
    """A base of the studio, or a model that one of your jobs made."""

    n: int | None = Field(default=None, ge=1, le=MOST_CHOICES)
    """How many answers. Left out: 1."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """0: always the likeliest token. Left out: 1, and for a classifier 0."""

    top_p: float | None = Field(default=None, gt=0, le=1)
    """Only the likeliest tokens that make up this much of the probability. Left out: 1."""

    seed: int | None = Field(default=None, ge=-_SEEDS, lt=_SEEDS)
    """The same request and seed have the same answer. Left out: drawn."""

    stop: Annotated[list[Stop], BeforeValidator(_as_list), Field(max_length=_MOST_STOPS)] | None = None
    """A text, or up to 4, before which an answer ends."""

    max_tokens: int | None = Field(default=None, ge=0, le=_MOST_TOKENS)
    """The most tokens of an answer; never more than the model has room for."""

    presence_penalty: Penalty | None = None
    """Taken once from the logit of every token that the answer has."""

    frequency_penalty: Penalty | None = None
    """Taken from the logit of a token as often as the answer has it."""

    logit_bias: dict[TokenId, Bias] | None = Field(default=None, max_length=_MOST_BIASES)
    """Token id -> what is added to its logit."""

    stream: bool | None = None
    """Whether the answer comes in pieces, as server-sent events."""

    stream_options: StreamOptions | None = None
    """Only where `stream` is true."""

    user: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Changes nothing, and is not kept."""


class _Schema(Strict):
    """JSON of a caller's own form."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    """What the form is called; it changes nothing."""

    schema_: dict[str, Any] = Field(alias="schema")
    """The JSON schema that the answer follows."""

    description: str | None = None
    """It changes nothing."""

    strict: bool | None = None
    """The schema is followed in any case."""


class ResponseFormat(Strict):
    """What an answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    """Any text, a JSON object, or JSON that `json_schema` allows."""

    json_schema: _Schema | None = None
    """Only where `type` is `json_schema`."""


_PART = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": _TEXT},
}
_Said = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["role", "content"],
            "properties": {
                "role": {"enum": list(ROLES)},
                "content": {"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _PART}]},
                "name": {"anyOf": [_TEXT, {"type": "null"}]},
            },
            "additionalProperties": {"type": "null"},
        }
    ),
]


class ChatRequest(Sampling):
    """Messages that wait for the next one."""

    messages: list[_Said] = Field(min_length=1, max_length=_MOST_MESSAGES)
    """Each with `role`, `content` (a text, or text parts) and perhaps `name`."""

    max_completion_tokens: int | None = Field(default=None, ge=1, le=_MOST_TOKENS)
    """The newer name of `max_tokens`."""

    logprobs: bool | None = None
    """Whether the probability of each token is told."""

    top_logprobs: int | None = Field(default=None, ge=0, le=_MOST_LIKELY_CHAT)
    """How many of the likeliest tokens are told at each place; only where `logprobs` is true."""

    response_format: ResponseFormat | None = None
    """Left out: any text."""

    store: Literal[False] | None = None
    """Answers are never kept."""

    modalities: list[Literal["text"]] | None = None
    """Answers are texts."""

    service_tier: Literal["auto", "default"] | None = None
    """There is one."""


class CompletionRequest(Sampling):
    """Texts to go on with."""

    prompt: Prompts
    """A text, a list of texts, a list of tokens, or a list of such lists."""

    best_of: int | None = Field(default=None, ge=1, le=MOST_CHOICES)
    """Must be `n`: all answers are told."""

    echo: bool | None = None
    """Whether the prompt is told before each answer."""

    logprobs: int | None = Field(default=None, ge=0, le=_MOST_LIKELY_TEXT)
    """How many of the likeliest tokens are told at each place, beside the one that was taken."""
