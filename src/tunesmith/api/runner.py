"""uvicorn, with our way of starting and ending."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ssl import SSLContext
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tunesmith.api.context import Context

__all__ = ["BACKLOG", "Server"]

BACKLOG = 2048
"""Connections that may wait to be accepted."""

_TICK_SECONDS = 0.1


class Server(uvicorn.Server):
    """Says when it listens; on a signal drains, ends what has begun, and returns."""

    def __init__(self, app: FastAPI, on_listening: Callable[[], None], tls: SSLContext | None = None) -> None:
        self._context: Context = app.state.context
        self._on_listening = on_listening
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=self._context.settings.shutdown_seconds,
        )
        config.load()
        config.ssl = tls
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, then say so."""
        await super().startup(sockets)
        self._on_listening()

    async def main_loop(self) -> None:
        """Serve until told to end, then answer as not ready for a while before the port closes."""
        await super().main_loop()
        self._context.drain()
        ticks = round(self._context.settings.drain_seconds / _TICK_SECONDS)
        for _ in range(ticks):
            if self.force_exit:
                break
            await asyncio.sleep(_TICK_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Drain on the first signal, end at once on the second; the signal is not raised again after."""
        self.force_exit = self.should_exit
        self.should_exit = True
