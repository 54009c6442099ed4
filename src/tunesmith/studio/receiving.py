"""A form that holds a file: its fields, and the file poured into its blob as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.requests import Request

from tunesmith.api.limits import body_chunks, check_encoding, check_length, in_time
from tunesmith.api.refusal import Refusal
from tunesmith.api.request import unknown_field
from tunesmith.studio.arrival import Arrival, check_disk
from tunesmith.studio.context import Studio, on_disk, studio_of
from tunesmith.studio.forms import OVERHEAD_BYTES, Field, FileData, FileStart, FormParser, boundary_of

__all__ = ["Form", "Limit", "receive"]

# what is dropped at least of a form that is too large, so that the client hears why
_DROPPED_BYTES = 16 << 20


@dataclass(slots=True)
class Form:
    """What was sent beside the bytes of the file."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """How many bytes a file may have, and what is told where it has more."""

    bytes: int
    passed: Refusal


async def receive(
    request: Request, arrival: Arrival, *, file: str, fields: tuple[str, ...], limit: Limit
) -> Form:
    """Read the form whose file stands in the field `file`, and its bytes into `arrival`; raises Refusal.

    Of a form that is refused, the rest is read and dropped, so that the client hears why.
    """
    studio, headers = studio_of(request), request.headers
    check_encoding(headers)
    parser = FormParser(boundary_of(headers))
    check_length(headers, limit.bytes + OVERHEAD_BYTES, max(limit.bytes, _DROPPED_BYTES))
    await _check_declared(studio, headers.get("content-length", ""))
    reader = _Reader(parser, arrival, file, fields, limit)
    with studio.uploads.permit():
        await _pour(request, studio, reader, limit.bytes)
    await arrival.flush()
    return reader.whole()


async def _check_declared(studio: Studio, declared: str) -> None:
    if declared.isascii() and declared.isdecimal():
        await on_disk(check_disk, studio.blobs, studio.config.free_bytes, int(declared[:18]))


async def _pour(request: Request, studio: Studio, reader: _Reader, most: int) -> None:
    seconds = studio.config.upload_seconds
    body = body_chunks(request, most + OVERHEAD_BYTES, max(most, _DROPPED_BYTES))
    chunks = in_time(body, studio.settings.body_timeout_seconds)
    try:
        async with asyncio.timeout(seconds):
            await reader.read(chunks)
    except TimeoutError:
        message = f"the body did not arrive within {seconds:,} s; send the file in parts, to /v1/uploads"
        raise Refusal("slow-body", message, headers={"Connection": "close"}) from None


class _Reader:
    """Sorts what comes of a form."""

    def __init__(
        self, parser: FormParser, arrival: Arrival, file: str, fields: tuple[str, ...], limit: Limit
    ) -> None:
        self._parser, self._arrival, self._limit = parser, arrival, limit
        self._file, self._fields = file, fields
        self._form = Form()
        self._fault: Refusal | None = None

    async def read(self, chunks: AsyncIterator[bytes]) -> None:
        """Take all that comes; what is wrong with it is kept until it has come."""
        async for chunk in chunks:
            if self._fault is None:
                try:
                    await self._take(chunk)
                except Refusal as fault:
                    self._fault = fault

    def whole(self) -> Form:
        """The form; raises Refusal where it is not as it should be."""
        if self._fault is not None:
            raise self._fault
        self._parser.end()
        if self._form.filename is None:
            message = f"`{self._file}` is missing: it holds the file, with a file name"
            raise Refusal("missing-field", message, param=self._file)
        if not self._arrival.bytes:
            raise Refusal("bad-field", f"`{self._file}` is empty", param=self._file)
        return self._form

    async def _take(self, chunk: bytes) -> None:
        for event in self._parser.feed(chunk):
            match event:
                case Field(name, value):
                    self._take_field(name, value)
                case FileStart(name, filename):
                    self._begin_file(name, filename)
                case FileData(data):
                    await self._take_data(data)

    def _take_field(self, name: str, value: str) -> None:
        if name == self._file:
            raise Refusal("bad-field", f"`{name}` must be a file, with a file name", param=name)
        if name not in self._fields:
            raise unknown_field(name, (self._file, *self._fields))
        if name in self._form.fields:
            raise Refusal("bad-field", f"`{name}` stands in the form twice", param=name)
        self._form.fields[name] = value

    def _begin_file(self, name: str, filename: str) -> None:
        if name != self._file:
            raise unknown_field(name, (self._file, *self._fields))
        if self._form.filename is not None:
            raise Refusal("bad-field", f"`{name}` stands in the form twice", param=name)
        self._form.filename = filename

    async def _take_data(self, data: bytes) -> None:
        if self._arrival.bytes + len(data) > self._limit.bytes:
            raise self._limit.passed
        await self._arrival.write(data)
