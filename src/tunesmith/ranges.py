"""Where the keys of a recipe may be searched: as their fields declare it, and as people write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

__all__ = [
    "AS_DECLARED",
    "OFF",
    "Around",
    "Choices",
    "Range",
    "Scalar",
    "Search",
    "as_texts",
    "declared",
    "refuse_searches",
    "searched",
    "shown",
]

Scalar = str | int | float

AS_DECLARED, OFF = "default", "off"
"""What is written for the range that the field declares, and for a key that is not to be searched."""


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included; `unasked`: searched where nobody says otherwise."""

    low: float
    high: float
    log: bool = False
    unasked: bool = True


@dataclass(frozen=True, slots=True)
class Around:
    """From a `factor`th of what the recipe becomes without a search to as many times it, as logarithms."""

    factor: float
    unasked: bool = True


@dataclass(frozen=True, slots=True)
class Choices:
    """One of these values."""

    values: tuple[Scalar, ...]
    unasked: bool = True


Search = Range | Around | Choices


def declared(kind: type[BaseModel]) -> dict[str, Search]:
    """The searches that the fields of a model declare, in their order."""
    fields = kind.model_fields.items()
    found = ((name, mark) for name, field in fields for mark in field.metadata)
    return {name: mark for name, mark in found if isinstance(mark, Search)}


def as_texts(value: object) -> object:
    """Lists and numbers, as YAML has them, as they would be typed: `3,5,8`."""
    if not isinstance(value, Mapping):
        return value
    return {name: _as_text(one) for name, one in value.items()}


def _as_text(value: object) -> object:
    match value:
        case bool():
            return value
        case int() | float():
            return str(value)
        case list() | tuple():
            return ",".join(str(one) for one in value)
        case None:
            return AS_DECLARED
        case _:
            return value


def refuse_searches(kind: type[BaseModel], searches: Mapping[str, str]) -> None:
    """Raise ValueError with everything that is wrong with what is to be searched."""
    faults = []
    for name, said in searches.items():
        try:
            searched(kind, name, said)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))


def searched(kind: type[BaseModel], name: str, said: str) -> Search | None:
    """The search that `said` asks for: `low..high`, `a,b,c`, one value, `default`, or `off`, which is None.

    The scale of a range is the declared one. Raises ValueError where the key is not searched, where a value
    is none that it may have, and where the range is empty.
    """
    known = declared(kind)
    if name not in known:
        raise ValueError(f"`{name}` is not searched; what is: {', '.join(known)}")
    match said.strip():
        case "" | "default":
            return replace(known[name], unasked=True)
        case "off":
            return None
        case text if ".." in text:
            return _range(kind, name, text, known[name])
        case text:
            return Choices(tuple(_valid(kind, name, part.strip()) for part in text.split(",")))


def _range(kind: type[BaseModel], name: str, text: str, mark: Search) -> Range:
    if isinstance(mark, Choices):
        raise ValueError(f"`{name}` takes choices such as `{shown(mark)}`, not the range {text}")
    low, high = (_number(kind, name, end.strip()) for end in text.split("..", 1))
    if low >= high:
        raise ValueError(f"`{name}`: the range {text} is empty, its low end comes first")
    log = isinstance(mark, Around) or mark.log
    if log and low <= 0:
        raise ValueError(f"`{name}` is searched on a logarithmic scale: {text} must begin above 0")
    return Range(low, high, log)


def _number(kind: type[BaseModel], name: str, text: str) -> float:
    value = _valid(kind, name, text)
    if isinstance(value, str):
        raise ValueError(f"`{name}`: {text!r} is no number")
    return value


def _valid(kind: type[BaseModel], name: str, text: str) -> Scalar:
    """The value that `text` means for this key."""
    try:
        value: Any = getattr(kind.model_validate({name: text}), name)
    except ValidationError as error:
        raise ValueError(f"`{name}`: {text!r}: {error.errors()[0]['msg']}") from None
    if not isinstance(value, Scalar):
        raise ValueError(f"`{name}`: {text!r} cannot be searched")
    return value


def shown(search: Search) -> str:
    """As people would type it, or where it lies around what the recipe becomes, in words."""
    match search:
        case Range(low, high):
            return f"{low:g}..{high:g}"
        case Choices(values):
            return ",".join(str(value) for value in values)
        case Around(factor):
            return f"default / {factor:g} to default × {factor:g}"
