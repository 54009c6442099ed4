"""Clients that ask a server until it is gone, and what became of each request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

__all__ = ["Ends", "ask_until_gone", "ask_while"]

_PATIENCE_SECONDS = 60
_LINES = 4
_BODY = json.dumps({"input": "the striker scored a late goal"}).encode()
_LINE = _BODY + b"\n"
_HEAD = "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/"
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Ends:
    """Requests, and the lines of streams, by how they ended."""

    answered: int = 0
    refused: int = 0
    """503 `draining`: whoever sent it knows that it was not answered"""
    lines_answered: int = 0
    streams_told: int = 0
    """Streams that were told at which line to go on elsewhere"""
    not_taken: int = 0
    """Connections that were refused, and those that were closed before anything was sent"""
    under_way: int = 0
    """Requests and streams that have begun and not ended"""
    lost: list[str] = field(default_factory=list)
    """Sent, and neither answered nor refused; or answered otherwise"""


async def ask_until_gone(port: int, clients: int, ends: Ends) -> None:
    """Ask with so many clients of each kind until the port is closed."""
    kept = [_asking(port, ends, keep=True) for _ in range(clients)]
    closing = [_asking(port, ends, keep=False) for _ in range(clients)]
    await asyncio.gather(*kept, *closing, *(_streaming(port, ends) for _ in range(clients)))


async def ask_while(port: int, clients: int, ends: Ends, end: Callable[[], None]) -> int:
    """As `ask_until_gone`, calling `end` once all have been answered; how many were under way then."""
    asking = asyncio.create_task(ask_until_gone(port, clients, ends))
    while ends.answered < 3 * clients or ends.lines_answered < clients:
        await asyncio.sleep(0.01)
    under_way = ends.under_way
    end()
    await asking
    return under_way


async def _opened(port: int, ends: Ends) -> _Streams | None:
    try:
        return await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        ends.not_taken += 1
        return None


async def _told(ends: Ends, what: str, work: Awaitable[bool]) -> bool:
    """Whether the connection may be used again; what breaks it is a loss."""
    ends.under_way += 1
    try:
        return await asyncio.wait_for(work, _PATIENCE_SECONDS)
    except (OSError, EOFError, TimeoutError) as error:
        ends.lost.append(f"{what}: {error!r}")
        return False
    finally:
        ends.under_way -= 1


async def _asking(port: int, ends: Ends, *, keep: bool) -> None:
    """One request after the other, on one connection or each on its own."""
    while (streams := await _opened(port, ends)) is not None:
        again, what = True, "on a kept connection" if keep else "on a new connection"
        while again and not streams[0].at_eof():
            again = await _told(ends, what, _asked(streams, ends, keep=keep))
        streams[1].close()


async def _asked(streams: _Streams, ends: Ends, *, keep: bool) -> bool:
    reader, writer = streams
    close = "" if keep else "\r\nConnection: close"
    writer.write(f"{_HEAD}json\r\nContent-Length: {len(_BODY)}{close}\r\n\r\n".encode() + _BODY)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    _note(int(head[9:12]), await reader.readexactly(length), ends)
    return b"connection: close" not in head


def _note(status: int, body: bytes, ends: Ends) -> None:
    if status == 200:
        ends.answered += 1
    elif status == 503 and json.loads(body)["error"]["code"] == "draining":
        ends.refused += 1
    else:
        ends.lost.append(f"{status} {body!r}")


async def _streaming(port: int, ends: Ends) -> None:
    """Streams without end, a few lines at a time."""
    while (streams := await _opened(port, ends)) is not None:
        await _told(ends, "in a stream", _streamed(streams, ends))
        streams[1].close()


async def _streamed(streams: _Streams, ends: Ends) -> bool:
    reader, writer = streams
    writer.write(f"{_HEAD}x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    chunk, answered = _LINE * _LINES, 0
    while True:
        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        if not answered:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                _note(int(head[9:12]), await reader.readexactly(length), ends)
                return False
        for _ in range(_LINES):
            answer = await _next_answer(reader)
            if "error" in answer:
                _note_end(answer, answered, ends)
                return False
            answered += 1
            ends.lines_answered += 1


async def _next_answer(reader: asyncio.StreamReader) -> dict[str, object]:
    # between answers stand the sizes of chunks
    while not (line := await reader.readuntil(b"\n")).startswith(b"{"):
        if line == b"0\r\n":
            raise EOFError("the stream ended without a word")
    return dict(json.loads(line))


def _note_end(answer: dict[str, object], answered: int, ends: Ends) -> None:
    if "draining" in str(answer["error"]) and answer["line"] == answered + 1:
        ends.streams_told += 1
    else:
        ends.lost.append(f"after {answered} lines: {answer}")
