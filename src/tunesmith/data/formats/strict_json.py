"""JSON values as rows need them: plain, finite, not too deep, with whole characters."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import NoReturn

from tunesmith.data.formats.encoding import Encoding

__all__ = ["DECODER", "JsonError", "as_cells", "strict_decoder"]

_MAX_DEPTH = 100
# int() takes time that grows with the square of them
_MOST_DIGITS = 100

Pairs = list[tuple[str, object]]


class JsonError(ValueError):
    """JSON that reads but may not be a row; its text says why."""


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not a JSON value")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise JsonError(f"a number has more than {_MOST_DIGITS} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise JsonError("a number is too large")
    return value


def strict_decoder(object_of: Callable[[Pairs], dict[str, object]] = dict) -> json.JSONDecoder:
    """A decoder that raises JsonError for what is no JSON and for numbers without measure.

    `object_of` makes an object of its keys and values.
    """
    return json.JSONDecoder(
        object_pairs_hook=object_of,
        parse_int=_integer,
        parse_float=_number,
        parse_constant=_refuse_constant,
    )


DECODER = strict_decoder()


def as_cells(value: object, encoding: Encoding) -> tuple[dict[str, object], bool]:
    """The object as cells by column, and whether a character in it was bad and became U+FFFD.

    Raises JsonError where it is no object or is nested too deeply.
    """
    if not isinstance(value, dict):
        raise JsonError(f'this is {_kind(value)}, not an object such as {{"text": …, "label": …}}')
    mend = _Mend(encoding)
    cells = {mend.text(key): mend.value(cell, 1) for key, cell in value.items()}
    return cells, mend.found_bad


def _kind(value: object) -> str:
    match value:
        case list():
            return "a list"
        case str():
            return "a text"
        case None:
            return "null"
        case _:
            return "a number or true or false"


class _Mend:
    """Replaces bad characters throughout a value, and remembers whether there were any."""

    def __init__(self, encoding: Encoding) -> None:
        self.found_bad = False
        self._encoding = encoding

    def text(self, text: str) -> str:
        mended, bad = self._encoding.mended(text)
        self.found_bad |= bad
        return mended

    def value(self, value: object, depth: int) -> object:
        if depth > _MAX_DEPTH:
            raise JsonError(f"this is nested more than {_MAX_DEPTH} deep")
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item, depth + 1) for item in value]
            case dict():
                return {self.text(key): self.value(item, depth + 1) for key, item in value.items()}
            case _:
                return value
