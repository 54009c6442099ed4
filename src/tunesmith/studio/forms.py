"""multipart/form-data -> its parts as they come: nothing of a file is held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers

from tunesmith.api.limits import media_type
from tunesmith.api.refusal import Refusal

__all__ = ["OVERHEAD_BYTES", "Field", "FileData", "FileStart", "FormParser", "boundary_of"]

OVERHEAD_BYTES = 64 << 10
"""What a form may hold beside the bytes of its file"""
_MOST_PARTS = 16
_MOST_FIELD_BYTES = 4096
_MOST_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Field:
    """A whole field."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileStart:
    """A file begins."""

    name: str
    filename: str


@dataclass(frozen=True, slots=True)
class FileData:
    """Some of the bytes of the file that began last."""

    data: bytes


Event = Field | FileStart | FileData


def boundary_of(headers: Headers) -> bytes:
    """What parts the form; raise Refusal where the body is none."""
    if media_type(headers) != "multipart/form-data":
        raise Refusal("not-a-form", "send a form and say so: `Content-Type: multipart/form-data; boundary=…`")
    _, options = parse_options_header(headers["content-type"])
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:  # RFC 2046
        raise Refusal("not-a-form", "the form does not say what parts it: `boundary` has 1 to 70 characters")
    return boundary


class FormParser:
    """Takes a form in chunks, and gives what is in them; raises Refusal `bad-form`."""

    def __init__(self, boundary: bytes) -> None:
        self._events: list[Event] = []
        self._ended = False
        self._parts = 0
        self._header, self._value = b"", b""
        self._disposition = b""
        self._name = ""
        self._field: bytearray | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_header_field": self._take_header,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """What has come with a chunk."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Refusal("bad-form", "the form cannot be read: it is not parted as RFC 7578 says") from error
        events, self._events = self._events, []
        yield from events

    def end(self) -> None:
        """Raise Refusal where the form was cut off."""
        if not self._ended:
            raise Refusal("bad-form", "the form has no end: it was cut off on its way")

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise Refusal("bad-form", f"the form has more than {_MOST_PARTS} parts")
        self._disposition, self._name, self._field = b"", "", None

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise Refusal("bad-form", "a part of the form has no name")
        self._name = _shown(options[b"name"])
        if b"filename" in options:
            self._events.append(FileStart(self._name, _shown(options[b"filename"])))
        else:
            self._field = bytearray()

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._events.append(FileData(data[start:end]))
            return
        self._field += data[start:end]
        if len(self._field) > _MOST_FIELD_BYTES:
            raise Refusal("bad-form", f"a field of the form has more than {_MOST_FIELD_BYTES:,} bytes")

    def _end_part(self) -> None:
        if self._field is not None:
            self._events.append(Field(self._name, self._field.decode("utf-8", "replace")))

    def _end(self) -> None:
        self._ended = True


def _shown(name: bytes) -> str:
    """A name as it may be told again: whole characters, and none that steer a terminal."""
    text = name.decode("utf-8", "replace")[:_MOST_NAME_LENGTH]
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
