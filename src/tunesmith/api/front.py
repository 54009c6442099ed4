"""Front: what every request passes first and every answer last."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.api.exchange import Exchange, log_exchange, log_fault, new_id
from tunesmith.api.guard import admit
from tunesmith.api.keyring import Keyring
from tunesmith.api.quotas import Quotas
from tunesmith.api.refusal import Refusal, draining, refusal_response, server_fault
from tunesmith.api.shared import Shared

__all__ = ["Front"]

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# probes, pages and metrics are no use of the model
_LIMITED = "/v1/"
_CLIENT_GONE = 499  # nobody reads this status; it marks the log and the metrics


class Front:
    """ASGI middleware: admits or refuses, gives an id, sets the headers, logs, counts, hides our bugs."""

    def __init__(self, app: ASGIApp, context: Shared, keyring: Keyring, quotas: Quotas) -> None:
        self._app = app
        self._context = context
        self._keyring = keyring
        self._quotas = quotas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope["method"], self._request_id(Headers(scope=scope)))
        scope.setdefault("state", {})["exchange"] = exchange
        with self._context.metrics.in_flight.track_inprogress():
            await self._answer(scope, receive, _marked(send, exchange), exchange)
        if route := scope.get("route"):
            exchange.route = route.path
        self._context.metrics.note(exchange)
        log_exchange(exchange)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        try:
            with self._admitted(scope, exchange):
                await self._app(scope, receive, send)
        except ClientDisconnect:
            exchange.status = _CLIENT_GONE
        except Refusal as refusal:
            await self._refuse(refusal, scope, receive, send)
        except asyncio.CancelledError:
            # the server is past its deadline for ending
            late = draining("the server shut down before the request was answered")
            await self._refuse(late, scope, receive, send)
        except Exception as error:  # noqa: BLE001 -- the last place where our own bug can be told
            log_fault(exchange.request_id, error)
            await self._refuse(server_fault(exchange.request_id), scope, receive, send)

    def _request_id(self, headers: Headers) -> str:
        """The caller's own id where it has the form of one and is no key; else a new one."""
        given = headers.get("x-request-id", "")
        return given if _REQUEST_ID.fullmatch(given) and self._keyring.find(given) is None else new_id()

    @contextmanager
    def _admitted(self, scope: Scope, exchange: Exchange) -> Iterator[None]:
        """Let the request in, within the limits of its caller; raises Refusal."""
        headers = Headers(scope=scope)
        with exchange.timed("admit"):
            key = admit(scope["method"], scope["path"], headers, self._context.settings, self._keyring)
        if key is not None:
            exchange.key = key.name
            exchange.project = key.project or exchange.project
        address, _ = scope.get("client") or ("unknown", 0)
        exchange.caller = self._quotas.caller(key, address)
        if not scope["path"].startswith(_LIMITED):
            yield
            return
        exchange.caller.take_request()
        with exchange.caller.place():
            yield

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["state"]["exchange"]
        exchange.code = refusal.code
        if not exchange.status:
            await refusal_response(refusal)(scope, receive, send)


def _marked(send: Send, exchange: Exchange) -> Send:
    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = exchange.request_id
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        with exchange.timed("write"):
            await send(message)

    return send_marked
