"""Work that ends when its caller goes away, and a body that is read while it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Send

__all__ = ["Upload", "disconnected", "send_in_time", "while_connected"]

AnswerT = TypeVar("AnswerT")


async def while_connected(gone: Coroutine[Any, Any, None], work: Coroutine[Any, Any, AnswerT]) -> AnswerT:
    """The answer of `work`; where `gone` ends before it, it is cancelled at once: raises ClientDisconnect."""
    # in this order: a caller who asks whether to send at all hears so before the answer begins
    leaving, answer = asyncio.create_task(gone), asyncio.create_task(work)
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            leaving.result()
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        leaving.cancel()


async def disconnected(receive: Receive) -> None:
    """Come back when the caller has gone; what still comes of a body is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_in_time(send: Send, message: Message, seconds: float) -> None:
    """Send; raise ClientDisconnect where the caller takes nothing for so long."""
    try:
        async with asyncio.timeout(seconds):
            await send(message)
    except TimeoutError:
        raise ClientDisconnect from None


class Upload:
    """A body in chunks, of which one is read ahead: so a caller who goes is noticed while the model works."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)

    async def pump(self) -> None:
        """Read until the caller has gone; never further ahead than one chunk."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            more = message.get("more_body", False)
            if body := message.get("body", b""):
                await self._ahead.put(body)
        await self._ahead.put(None)
        await disconnected(self._receive)

    async def chunk(self) -> bytes | None:
        """The next chunk, None at the end."""
        return await self._ahead.get()
