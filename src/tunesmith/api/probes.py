"""What monitors call: /healthz, /readyz and /metrics."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunesmith.api.openapi import EVERYWHERE, responses
from tunesmith.api.schemas import Health
from tunesmith.api.shared import Shared

__all__ = ["add_probes", "alive", "metrics", "ready"]


def add_probes(app: FastAPI) -> None:
    """Add the routes that monitors call."""
    app.add_api_route("/healthz", alive, response_model=Health)
    app.add_api_route(
        "/readyz",
        ready,
        response_model=Health,
        responses={503: {"model": Health, "description": "Not ready"}},
    )
    app.add_api_route("/metrics", metrics, response_class=Response, responses=responses(*EVERYWHERE))


async def alive(request: Request) -> Health:  # noqa: ARG001 -- answers as long as the event loop turns
    """Say that the server lives."""
    return Health(status="alive")


async def ready(request: Request) -> Response:
    """Say whether new requests are welcome: not while loading, and not while shutting down."""
    context = _shared(request)
    status = "ready" if context.ready else "draining" if context.draining else "loading"
    return JSONResponse({"status": status}, status_code=200 if context.ready else 503)


async def metrics(request: Request) -> Response:
    """Give the metrics in Prometheus' text format."""
    return Response(_shared(request).metrics.exposition(), media_type="text/plain; version=0.0.4")


def _shared(request: Request) -> Shared:
    return cast(Shared, request.app.state.context)
