"""How long an answer may take: less than its caller waits, and no longer than the server lives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import Headers

from tunesmith.api.refusal import Refusal, draining
from tunesmith.studio.context import Studio

__all__ = ["allowed_seconds", "in_time"]

# what the answer needs on its way back
_BACK_SECONDS = 5.0
# of the time that a server has to end: the rest is for telling that it does
_OF_SHUTDOWN = 0.8


def allowed_seconds(headers: Headers, most: float) -> float:
    """How long an answer that comes in one piece may take: the official client says how long it waits."""
    try:
        given = float(headers.get("x-stainless-read-timeout", "inf"))
    except ValueError:
        return most
    if not (given > 0 and math.isfinite(given)):
        return most
    return min(most, max(given / 2, given - _BACK_SECONDS))


@asynccontextmanager
async def in_time(studio: Studio, seconds: float) -> AsyncIterator[None]:
    """Let the block end within `seconds`, and while the server may still live; else raise Refusal."""
    watch: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(seconds) as limit:
            watch = asyncio.create_task(_shorten(studio, limit))
            yield
    except TimeoutError:
        if studio.draining:
            raise draining() from None
        message = f"the answer took more than {seconds:g} s; ask for a shorter one, or in a stream"
        # it would take as long once more
        raise Refusal("out-of-time", message, headers={"x-should-retry": "false"}) from None
    finally:
        if watch is not None:
            watch.cancel()


async def _shorten(studio: Studio, limit: asyncio.Timeout) -> None:
    await studio.ends.wait()
    settings = studio.settings
    left = settings.drain_seconds + _OF_SHUTDOWN * settings.shutdown_seconds
    when = asyncio.get_running_loop().time() + left
    before = limit.when()
    limit.reschedule(when if before is None else min(before, when))
