"""OpenAPI schema -> the plain values that the reference page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "FieldRow", "Operation", "operations"]

Schema = Mapping[str, Any]

_JSON = "application/json"
_BOUNDS = {
    "minimum": "from {:,.0f}",
    "maximum": "to {:,.0f}",
    "maxLength": "at most {:,} characters",
    "maxItems": "at most {:,}",
}


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of a body; `depth` says how deep it is nested."""

    name: str
    depth: int
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that an operation may answer with."""

    status: str
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    method: str
    path: str
    summary: str
    request: tuple[FieldRow, ...]
    response: tuple[FieldRow, ...]
    refusals: tuple[Answer, ...]

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return self.method.lower() + re.sub(r"[^a-z0-9]+", "-", self.path)


def operations(schema: Schema) -> tuple[Operation, ...]:
    """Every operation of an OpenAPI schema, in its order."""
    return tuple(
        _operation(method.upper(), path, values, schema)
        for path, methods in schema["paths"].items()
        for method, values in methods.items()
    )


def _operation(method: str, path: str, values: Schema, root: Schema) -> Operation:
    answers = values["responses"]
    return Operation(
        method,
        path,
        values.get("description", values["summary"]),
        (*_parameters(values, root), *_rows(_body(values.get("requestBody", {})), root)),
        tuple(_rows(_body(answers.get("200", {})), root)),
        tuple(Answer(status, said["description"]) for status, said in answers.items() if status != "200"),
    )


def _parameters(values: Schema, root: Schema) -> Iterator[FieldRow]:
    """What stands in the path or behind its question mark."""
    for part in values.get("parameters", ()):
        kind, required = _kind(part["schema"], root), part["required"]
        yield FieldRow(part["name"], 0, kind, required, part.get("description", ""))


def _body(holder: Schema) -> Schema:
    found: Schema = holder.get("content", {}).get(_JSON, {}).get("schema", {})
    return found


def _rows(schema: Schema, root: Schema, depth: int = 0) -> Iterator[FieldRow]:
    schema = _resolved(schema, root)
    for name, part in schema.get("properties", {}).items():
        kind = _kind(part, root)
        yield FieldRow(name, depth, kind, name in schema.get("required", ()), part.get("description", ""))
        for inner in _inner(part, root):
            yield from _rows(inner, root, depth + 1)


def _inner(part: Schema, root: Schema) -> Iterator[Schema]:
    """The objects that a field holds, itself or in a list."""
    for choice in _choices(_resolved(part, root)):
        resolved = _resolved(choice, root)
        yield resolved if "properties" in resolved else resolved.get("items", {})


def _choices(part: Schema) -> list[Schema]:
    return list(part.get("anyOf") or part.get("oneOf") or [part])


def _kind(part: Schema, root: Schema) -> str:
    return " or ".join(_one_kind(_resolved(choice, root), root) for choice in _choices(part))


def _one_kind(part: Schema, root: Schema) -> str:
    bounds = [words.format(part[name]) for name, words in _BOUNDS.items() if name in part]
    kind = part.get("type", "object").replace("array", "list")
    if bounds:
        kind += f" ({' '.join(bounds)})"
    return f"{kind} of {_kind(part['items'], root)}" if "items" in part else kind


def _resolved(part: Schema, root: Schema) -> Schema:
    found = root
    if "$ref" not in part:
        return part
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found
