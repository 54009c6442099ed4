"""Requests -> what they ask, or a Refusal that names the field."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from tunesmith.api.limits import read_object, shown_name
from tunesmith.api.refusal import Refusal
from tunesmith.api.request import unknown_field
from tunesmith.files import sha256_bytes
from tunesmith.studio.context import studio_of
from tunesmith.studio.store.requests import Fingerprint

__all__ = [
    "AFTER",
    "LIMIT",
    "Window",
    "canonical",
    "fingerprint_of",
    "is_again",
    "query_of",
    "read_body",
    "validated",
    "window_of",
]

ModelT = TypeVar("ModelT", bound=BaseModel)

AFTER = "The id of what the list goes on after."
LIMIT = "How many at most."
_MOST_TOLD = 5
_LONGEST_KEY = 255


async def read_body(request: Request, kind: type[ModelT]) -> tuple[ModelT, dict[str, object]]:
    """The body as a model, and as the JSON object that it was; raises Refusal, `draining` too."""
    studio = studio_of(request)
    values = await read_object(request, studio.settings, studio.uploads)
    # not before: a connection that is closed with half a body in it is reset, and nobody hears why
    studio.check_not_draining()
    return validated(values, kind), values


def validated(values: Mapping[str, object], kind: type[ModelT]) -> ModelT:
    """Validate a request's values; raise Refusal with all that is wrong, without repeating any value."""
    unknown = [name for name in values if name not in kind.model_fields]
    if unknown:
        raise unknown_field(unknown[0], kind.model_fields)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _refusal(
            [dict(fault) for fault in error.errors(include_url=False, include_input=False)]
        ) from None


def _refusal(faults: Sequence[Mapping[str, Any]]) -> Refusal:
    told = [f"`{_param(fault['loc'])}` {_what(fault)}" for fault in faults[:_MOST_TOLD]]
    if len(faults) > _MOST_TOLD:
        told.append(f"and {len(faults) - _MOST_TOLD} more")
    param = _param(faults[0]["loc"])
    match faults[0]["type"]:
        case "missing":
            return Refusal("missing-field", "; ".join(told), param=param)
        case "extra_forbidden":
            return Refusal("unknown-field", "; ".join(told), param=param)
        case "string_unicode":
            return Refusal("bad-body", "; ".join(told), param=param)
    return Refusal("bad-field", "; ".join(told), param=param)


def _what(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field of the request"
        case "string_unicode":
            return "holds half a character (a lone surrogate)"
        case "range" | "nul" | "suffix":
            return str(fault["msg"])
    return f"cannot be used: {fault['msg']}"


def _param(loc: Sequence[str | int]) -> str:
    """`method.dpo.hyperparameters.beta`, `part_ids[3]`; `[key]` is pydantic's own."""
    parts = [part for part in loc if part != "[key]"]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return shown_name(name.removeprefix("."))


def canonical(values: object) -> str:
    """The SHA-256 of a JSON value, however it was written."""
    return sha256_bytes(json.dumps(values, sort_keys=True).encode())


def is_again(request: Request) -> bool:
    """Whether the client says that it has sent this request before, and had no answer."""
    count = request.headers.get("x-stainless-retry-count", "")
    return count.isdecimal() and int(count[:9]) > 0


def fingerprint_of(request: Request, body: str) -> Fingerprint:
    """What tells a request from others: its path and the SHA-256 of its body, or the key that it names."""
    path, key = request.url.path, request.headers.get("idempotency-key")
    if key is None:
        return Fingerprint(sha256_bytes(f"{path}\n{body}".encode()), again=is_again(request))
    if not 0 < len(key) <= _LONGEST_KEY:
        message = f"an Idempotency-Key has 1 to {_LONGEST_KEY} characters"
        raise Refusal("bad-field", message, param="Idempotency-Key")
    digest = sha256_bytes(f"{path}\nkey {key}".encode("utf-8", "surrogateescape"))
    return Fingerprint(digest, again=True, body=body, by_key=True)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for."""

    after: str | None
    limit: int


def query_of(request: Request, known: Collection[str]) -> dict[str, str]:
    """What stands behind the question mark; raise Refusal for what is not known or stands there twice."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise unknown_field(name, known)
        if name in found:
            raise Refusal("bad-field", f"`{name}` stands there twice", param=name)
        found[name] = value
    return found


def window_of(query: Mapping[str, str], *, default: int, most: int = 1000) -> Window:
    """Which part of a list a query asks for; raises Refusal."""
    limit, after = query.get("limit", str(default)), query.get("after")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= most):
        raise Refusal("bad-field", f"`limit` must be a whole number from 1 to {most:,}", param="limit")
    if after is not None and (not after.isprintable() or len(after) > 256):
        raise Refusal("bad-field", "`after` must be the id of something in the list", param="after")
    return Window(after, int(limit))
