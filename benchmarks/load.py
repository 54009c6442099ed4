"""Load on an HTTP server: so many clients at a time, or so many requests a second, whatever comes back.

One connection a client, kept open; requests are written and read without a library, so that the cores belong
to the server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Load", "at_a_rate", "by_clients"]

_CONNECTIONS = 512
_HEALTH_SECONDS = 0.1


@dataclass
class Load:
    """What came back."""

    seconds: float = 0.0
    accepted: list[float] = field(default_factory=list)
    """Seconds of each answer"""
    refused: list[float] = field(default_factory=list)
    """Seconds of each refusal"""
    without_retry: int = 0
    """Refusals that do not say when to come again"""
    broken: int = 0
    """Requests that were not answered at all, or by a fault"""
    health: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.accepted) / self.seconds

    def note(self, status: int, head: bytes, took: float) -> None:
        """Count one answer."""
        if status == 200:
            self.accepted.append(took)
        elif status in (429, 503):
            self.refused.append(took)
            self.without_retry += b"retry-after" not in head.lower()
        else:
            self.broken += 1


def milliseconds(seconds: Sequence[float], percentile: float) -> float | None:
    """A percentile; None where there is nothing."""
    return round(1000 * float(np.percentile(seconds, percentile)), 2) if seconds else None


class _Connection:
    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and head of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head.lower():
            self.close()
        return int(head[9:12]), head

    def close(self) -> None:
        """Open another one for the next request."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def _posts(texts: Sequence[str]) -> Iterator[bytes]:
    for text in itertools.cycle(texts):
        body = json.dumps({"input": text}).encode()
        yield (
            b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )


async def _one(connection: _Connection, request: bytes, load: Load) -> None:
    began = time.perf_counter()
    try:
        status, head = await connection.ask(request)
    except (OSError, asyncio.IncompleteReadError, IndexError):
        connection.close()
        load.broken += 1
    else:
        load.note(status, head, time.perf_counter() - began)


async def _watch(port: int, load: Load) -> None:
    connection = _Connection(port)
    while True:
        began = time.perf_counter()
        await connection.ask(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        load.health.append(time.perf_counter() - began)
        await asyncio.sleep(_HEALTH_SECONDS)


def by_clients(port: int, texts: Sequence[str], clients: int, seconds: float) -> Load:
    """`clients` that each send a text when the last one is answered, for `seconds`."""

    async def client(requests: Iterator[bytes], load: Load, ends: float) -> None:
        connection = _Connection(port)
        while time.perf_counter() < ends:
            await _one(connection, next(requests), load)
        connection.close()

    async def run() -> Load:
        load, requests, began = Load(), _posts(texts), time.perf_counter()
        watch = asyncio.create_task(_watch(port, load))
        ends = began + seconds
        await asyncio.gather(*(client(requests, load, ends) for _ in range(clients)))
        load.seconds = time.perf_counter() - began
        watch.cancel()
        return load

    return asyncio.run(run())


def at_a_rate(port: int, texts: Sequence[str], rate: float, seconds: float) -> Load:
    """`rate` requests a second, evenly, for `seconds`: they come whether or not others are answered."""

    async def run() -> Load:
        load, requests, began = Load(), _posts(texts), time.perf_counter()
        free = [_Connection(port) for _ in range(_CONNECTIONS)]
        watch, asked = asyncio.create_task(_watch(port, load)), set[asyncio.Task[None]]()

        async def ask(connection: _Connection) -> None:
            await _one(connection, next(requests), load)
            free.append(connection)

        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0, began + number / rate - time.perf_counter()))
            if free:
                task = asyncio.create_task(ask(free.pop()))
                asked.add(task)
                task.add_done_callback(asked.discard)
            else:
                load.broken += 1
        await asyncio.gather(*asked)
        load.seconds = time.perf_counter() - began
        watch.cancel()
        return load

    return asyncio.run(run())
