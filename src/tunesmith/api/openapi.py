"""What the OpenAPI schema says beside what the framework finds in the routes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from tunesmith.api.guard import is_open
from tunesmith.api.refusal import STATUS
from tunesmith.api.schemas import ErrorEnvelope

__all__ = [
    "EVERYWHERE",
    "LIMITED",
    "WITH_BODY",
    "answered_with",
    "body_of",
    "completed",
    "queries_of",
    "responses",
]

_RETRY = {
    "description": "Seconds to wait before the request is sent again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_HEADERS = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": _RETRY},
    503: {"Retry-After": _RETRY},
}
_REQUEST_ID = {
    "description": "Under which the server's log has more.",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}
_PLACE = "#/components/schemas/{model}"
_UNUSED = ("HTTPValidationError", "ValidationError")

EVERYWHERE = ("unknown-host", "wrong-key", "server-fault", "draining")
"""What any route may answer that needs the key."""

LIMITED = (*EVERYWHERE, "rate-limited")
"""What any route may answer that uses the model."""

WITH_BODY = (
    *("bad-body", "missing-field", "unknown-field", "bad-field", "foreign-origin", "slow-body"),
    *("body-too-large", "encoded-body", "not-json"),
)
"""What any route may answer that reads JSON."""


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """status -> which of `codes` it may carry."""
    return {
        status: {
            # a "model" would be made into a field of its own for every route and status, which takes its time
            "content": {"application/json": {"schema": {"$ref": _PLACE.format(model="ErrorEnvelope")}}},
            "description": ", ".join(code for code in codes if STATUS[code] == status),
            "headers": _HEADERS.get(status, {}),
        }
        for status in sorted({STATUS[code] for code in codes})
    }


def completed(schema: dict[str, Any], *, needs_key: bool) -> dict[str, Any]:
    """The framework's schema, with what every answer has, and without refusals that are not ours."""
    error = ErrorEnvelope.model_json_schema(ref_template=_PLACE)
    schemas = schema["components"].setdefault("schemas", {})
    schemas |= {**error.pop("$defs", {}), "ErrorEnvelope": error}
    for name in _UNUSED:
        schemas.pop(name, None)
    if needs_key:
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            if needs_key and not is_open(path):
                operation["security"] = [{"key": []}]
            _complete(operation["responses"])
    return schema


def _complete(answers: dict[str, Any]) -> None:
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    for answer in answers.values():
        answer["headers"] = {**answer.get("headers", {}), "X-Request-Id": _REQUEST_ID}


def body_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The body that a route reads itself: media type -> schema, a model, or a union of models."""
    return {"requestBody": {"required": True, "content": _content(content)}}


def queries_of(**meanings: str) -> dict[str, Any]:
    """What may stand behind the question mark of a route that reads it itself: name -> what it means."""
    kind = {"in": "query", "required": False, "schema": {"type": "string"}}
    return {"parameters": [{"name": name, **kind, "description": said} for name, said in meanings.items()]}


def answered_with(content: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """What a route answers beside JSON where all goes well, as `body_of` takes it."""
    return {200: {"content": _content(content)}}


def _content(content: Mapping[str, Any]) -> dict[str, Any]:
    # FastAPI writes into what it is given
    return {
        kind: {"schema": of if isinstance(of, dict) else deepcopy(_inlined(of))}
        for kind, of in content.items()
    }


@lru_cache
def _inlined(of: Any) -> Any:
    """The schema in one piece: what it refers to would be sought elsewhere."""
    schema = TypeAdapter(of).json_schema()
    return _resolved(schema, schema.pop("$defs", {}))


def _resolved(part: Any, definitions: dict[str, Any]) -> Any:
    match part:
        case {"$ref": str(place)}:
            return _resolved(definitions[place.removeprefix("#/$defs/")], definitions)
        case dict():
            return {name: _resolved(value, definitions) for name, value in part.items()}
        case list():
            return [_resolved(value, definitions) for value in part]
        case _:
            return part
