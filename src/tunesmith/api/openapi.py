"""What the OpenAPI schema says beside what the framework finds in the routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from tunesmith.api.refusal import STATUS
from tunesmith.api.schemas import ErrorEnvelope

__all__ = ["EVERYWHERE", "WITH_BODY", "answered_with", "body_of", "queries_of", "responses"]

EVERYWHERE = ("unknown-host", "wrong-key", "server-fault")
"""What any route may answer that needs the key."""

WITH_BODY = (
    *("bad-body", "missing-field", "unknown-field", "bad-field", "foreign-origin", "slow-body"),
    *("body-too-large", "encoded-body", "not-json", "draining"),
)
"""What any route may answer that reads JSON."""


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """status -> which of `codes` it may carry."""
    return {
        status: {
            "model": ErrorEnvelope,
            "description": ", ".join(code for code in codes if STATUS[code] == status),
        }
        for status in sorted({STATUS[code] for code in codes})
    }


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
    return {kind: {"schema": of if isinstance(of, dict) else _inlined(of)} for kind, of in content.items()}


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
