"""Request body -> JSON object: counted while it streams, and strict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.requests import Request

from tunesmith.api.gate import Gate
from tunesmith.api.refusal import Refusal
from tunesmith.api.settings import Settings

__all__ = [
    "body_chunks",
    "check_encoding",
    "check_length",
    "in_time",
    "media_type",
    "parse_object",
    "read_object",
    "shown_name",
]

# read and dropped so that a client that is still sending hears why, instead of a broken connection
_DROPPED_BYTES = 16 << 20
_MOST_DIGITS = 20
_MOST_SHOWN = 60
_CLOSE = {"Connection": "close"}


async def read_object(request: Request, settings: Settings, uploads: Gate) -> dict[str, object]:
    """Read the body as one JSON object; raise Refusal where it is too large, too slow or something else."""
    _check_headers(request.headers, settings)
    with uploads.permit():
        body = await _read_in_time(request, settings)
    return parse_object(body)


def media_type(headers: Headers) -> str:
    """What the body is said to be, in lower case and without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def check_encoding(headers: Headers) -> None:
    """Raise Refusal `encoded-body` for a compressed body."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal("encoded-body", "compressed bodies are not read; leave Content-Encoding out")


def _check_headers(headers: Headers, settings: Settings) -> None:
    check_encoding(headers)
    if media_type(headers) != "application/json":
        raise Refusal("not-json", "send JSON and say so: `Content-Type: application/json`")
    check_length(headers, settings.max_body_bytes)


def check_length(headers: Headers, max_bytes: int, dropped_bytes: int = _DROPPED_BYTES) -> None:
    """Raise Refusal `body-too-large` for a body that is said to be too large even to be dropped."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes + dropped_bytes:
        raise _too_large(max_bytes, close=True)


async def _read_in_time(request: Request, settings: Settings) -> bytes:
    try:
        async with asyncio.timeout(settings.body_timeout_seconds):
            return await _read(request, settings.max_body_bytes)
    except TimeoutError:
        raise _too_slow(settings.body_timeout_seconds) from None


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in body_chunks(request, max_bytes):
        body += chunk
    return bytes(body)


async def body_chunks(
    request: Request, max_bytes: int, dropped_bytes: int = _DROPPED_BYTES
) -> AsyncIterator[bytes]:
    """The body as it comes; raise Refusal `body-too-large` where it is.

    Of what is too much, `dropped_bytes` are read before that is said.
    """
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
        if count <= max_bytes:
            yield chunk
        elif count > max_bytes + dropped_bytes:
            raise _too_large(max_bytes, close=True)
    if count > max_bytes:
        raise _too_large(max_bytes)


async def in_time(chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """The same chunks; raise Refusal `slow-body` where the next does not come within `seconds`."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise _too_slow(seconds) from None
        yield chunk


def _too_slow(seconds: float) -> Refusal:
    return Refusal("slow-body", f"the body did not arrive within {seconds:g} s", headers=_CLOSE)


def _too_large(max_bytes: int, *, close: bool = False) -> Refusal:
    message = f"the body is larger than {max_bytes:,} bytes; send it in several requests"
    return Refusal("body-too-large", message, headers=_CLOSE if close else None)


def parse_object(body: bytes) -> dict[str, object]:
    """Parse one JSON object; raise Refusal `bad-body` for anything RFC 8259 leaves to chance.

    Refused: other encodings than UTF-8, NaN and infinities, keys that stand twice, integers that no
    field can hold, nesting that has no end.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_short_int,
            parse_float=_number,
        )
    except UnicodeDecodeError as error:
        raise _bad(f"it is not UTF-8 (byte {error.start:,})") from None
    except json.JSONDecodeError as error:
        raise _bad(f"it is not JSON: {error.msg}, line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _bad("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise _bad('it is not an object such as {"input": "a text"}')
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in pairs:
        if key in values:
            raise _bad(f"`{shown_name(key)}` stands in it twice")
        values[key] = value
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise _bad(f"{name} is not a JSON value")


def _short_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _bad(f"it holds an integer of more than {_MOST_DIGITS} digits")
    return int(digits)


def _number(digits: str) -> float:
    """A number; one such as 3.0 is a whole number to JSON, whatever Python thinks."""
    value = float(digits)
    return int(value) if value.is_integer() else value


def _bad(why: str) -> Refusal:
    return Refusal("bad-body", f"the body cannot be used: {why}")


def shown_name(name: str) -> str:
    """A caller's field name as a message may repeat it: short, and with whole characters."""
    whole = name.encode("utf-8", "replace").decode("utf-8")
    return whole if len(whole) <= _MOST_SHOWN else whole[:_MOST_SHOWN] + "…"
