"""create_app: a model and settings -> the whole HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tunesmith import __version__
from tunesmith.api.batcher import Batcher
from tunesmith.api.context import Answers, Context
from tunesmith.api.front import Front
from tunesmith.api.gate import Gate
from tunesmith.api.keyring import Keyring
from tunesmith.api.metrics import Metrics
from tunesmith.api.native import add_native_routes
from tunesmith.api.pages import add_pages
from tunesmith.api.quotas import Quotas
from tunesmith.api.refusal import Refusal, from_http
from tunesmith.api.request import request_model
from tunesmith.api.schemas import ModelFacts
from tunesmith.api.settings import Settings

__all__ = ["create_app"]


def create_app(
    predictor: Answers, settings: Settings, *, about: dict[str, Any], quotas: Quotas | None = None
) -> FastAPI:
    """The application that serves `predictor`.

    `about` holds fields of `ModelFacts` that the predictor does not know, `model` (its name) at least.
    `quotas` are given where other processes count towards them, too.
    """
    context = _context(predictor, settings, about)
    app = FastAPI(
        title="tunesmith",
        version=__version__,
        description="A text classifier over HTTP.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.context = context
    add_native_routes(app, context)
    add_pages(app)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(RequestValidationError, _refuse_http)
    quotas = quotas or Quotas(settings)
    app.add_middleware(Front, context=context, keyring=Keyring(settings), quotas=quotas)
    return app


def _context(predictor: Answers, settings: Settings, about: dict[str, Any]) -> Context:
    labels = list(predictor.labels)
    metrics = Metrics()
    waiting, uploads = Gate(settings.max_waiting), Gate(settings.max_uploads)
    waiting.on_change, uploads.on_change = metrics.waiting.set, metrics.uploads.set
    return Context(
        settings=settings,
        facts=ModelFacts(labels=labels, max_tokens=predictor.max_tokens, **about),
        request_model=request_model(len(labels), settings),
        batcher=Batcher(
            predictor,
            waiting,
            batch_tokens=settings.batch_tokens,
            max_wait_seconds=settings.max_wait_ms / 1000,
            observe=metrics.note_batch,
        ),
        waiting=waiting,
        uploads=uploads,
        metrics=metrics,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.context.running():
        yield


async def _refuse_http(_request: Request, error: Exception) -> NoReturn:
    """What the framework refuses takes the way of our own refusals."""
    if isinstance(error, HTTPException):
        raise from_http(error) from error
    raise Refusal("bad-request", "the request cannot be understood; /docs says how to send one") from error
