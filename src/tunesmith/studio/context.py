"""Studio: what the routes of one app share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from starlette.requests import Request

from tunesmith.api.exchange import exchange_of
from tunesmith.api.gate import Gate
from tunesmith.api.metrics import Metrics
from tunesmith.api.refusal import draining
from tunesmith.api.settings import Settings
from tunesmith.studio.blobs import Blobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.store import Store

if TYPE_CHECKING:
    from tunesmith.studio.answering.answering import Answering

__all__ = ["Studio", "Turns", "meanwhile", "on_disk", "project_of", "studio_of"]

AskedP = ParamSpec("AskedP")
AnswerT = TypeVar("AnswerT")


class Turns:
    """One at a time of those that name the same, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[asyncio.Lock, int]] = {}

    @property
    def waiting(self) -> int:
        """How many are in a block or wait for their turn."""
        return sum(count for _, count in list(self._waiting.values()))

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait until nobody else of that name is in the block."""
        lock, count = self._waiting.get(name, (asyncio.Lock(), 0))
        self._waiting[name] = (lock, count + 1)
        try:
            async with lock:
                yield
        finally:
            _, count = self._waiting.pop(name)
            if count > 1:
                self._waiting[name] = (lock, count - 1)


@dataclass(slots=True)
class Studio:
    """What is kept, the guards and the state of one app."""

    settings: Settings
    config: StudioConfig
    store: Store
    blobs: Blobs
    metrics: Metrics
    uploads: Gate
    streams: Gate
    answering: Answering
    turns: Turns = field(default_factory=Turns)
    """Requests that came twice, while the first is still at work"""
    draining: bool = False
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the app drains: what would go on for long ends then"""

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return not self.draining

    def check_not_draining(self) -> None:
        """Raise Refusal `draining` where the server takes nothing new."""
        if self.draining:
            raise draining()

    def drain(self) -> None:
        """From now on nothing new is taken; what has begun goes on."""
        self.draining = True
        self.ends.set()
        self.metrics.ready.set(0)


def studio_of(request: Request) -> Studio:
    """The studio that the request came to."""
    return cast(Studio, request.app.state.context)


def project_of(request: Request) -> str:
    """The project whose files, jobs and models the caller may see."""
    return exchange_of(request).project


async def on_disk(
    function: Callable[AskedP, AnswerT], *args: AskedP.args, **options: AskedP.kwargs
) -> AnswerT:
    """Call what waits for a disk or a database, while other requests go on."""
    return await asyncio.to_thread(function, *args, **options)


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something beside requests while the block runs; it is ended with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
