"""uvicorn, with our way of starting and ending."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from ssl import SSLContext
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tunesmith.api.shared import Shared

__all__ = ["BACKLOG", "Server"]

BACKLOG = 2048
"""Connections that may wait to be accepted."""

_TICK_SECONDS = 0.1
# how long a connection that is open may still bring a request, which is then refused and not lost
_LINGER_SECONDS = 0.5


class Server(uvicorn.Server):
    """Says when it listens; on a signal drains, ends what has begun, and returns."""

    def __init__(self, app: FastAPI, on_listening: Callable[[], None], tls: SSLContext | None = None) -> None:
        self._context: Shared = app.state.context
        self._on_listening = on_listening
        self._listeners: list[socket.socket] = []
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
        self._listeners = list(sockets or ())
        for listener in self._listeners:
            # connections inherit it: no part of an answer waits until the part before has been confirmed;
            # asyncio sees to that only where a socket names its protocol
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
        await self._close_door()

    async def _close_door(self) -> None:
        """Close the port, and let whoever came in before hear that the server ends.

        uvicorn would reset connections that the system took and nobody has accepted yet.
        """
        waiting = list(self._accepted())
        # at once: whoever comes between is lost
        for server in self.servers:
            server.close()
        await asyncio.gather(*map(self._take_in, waiting))
        ends = asyncio.get_running_loop().time() + _LINGER_SECONDS
        while self.server_state.connections and not self.force_exit:
            if asyncio.get_running_loop().time() > ends:
                break
            await asyncio.sleep(_TICK_SECONDS / 10)

    def _accepted(self) -> Iterator[socket.socket]:
        for listener in self._listeners:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # nobody waits any more
                    break
                connection.setblocking(False)
                yield connection

    async def _take_in(self, connection: socket.socket) -> None:
        protocol: Any = self.config.http_protocol_class
        made = partial(
            protocol, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        with suppress(OSError):  # who has gone again needs no answer
            await asyncio.get_running_loop().connect_accepted_socket(made, connection, ssl=self.config.ssl)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Drain on the first signal, end at once on the second; the signal is not raised again after."""
        self.force_exit = self.should_exit
        self.should_exit = True
