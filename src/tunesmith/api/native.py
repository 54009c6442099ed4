"""/v1/classify and its friends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tunesmith.api.context import Context, context_of, exchange_of
from tunesmith.api.limits import read_object
from tunesmith.api.refusal import EVERYWHERE, WITH_BODY, responses
from tunesmith.api.request import DEFAULT_TOP_K, read_values, request_model
from tunesmith.api.schemas import (
    ClassifyResponse,
    Health,
    LabelScore,
    Result,
    Usage,
)
from tunesmith.predict import Prediction

__all__ = ["add_native_routes", "alive", "classify", "metrics", "ready"]

AnswerT = TypeVar("AnswerT")

_CLASSIFY = (
    *(*EVERYWHERE, *WITH_BODY, "empty-input", "text-too-long", "too-many-texts", "bad-top-k"),
    *("no-such-model", "busy"),
)


def add_native_routes(app: FastAPI, context: Context) -> None:
    """Add the routes that programs call."""
    most_labels = max(len(facts.labels) for facts in context.models.facts)
    schema = request_model(most_labels, context.settings).model_json_schema()
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    app.add_api_route(
        "/v1/classify",
        classify,
        methods=["POST"],
        response_model=ClassifyResponse,
        responses=responses(*_CLASSIFY),
        openapi_extra={"requestBody": body},
    )
    app.add_api_route("/healthz", alive, response_model=Health)
    app.add_api_route(
        "/readyz",
        ready,
        response_model=Health,
        responses={503: {"model": Health, "description": "Not ready"}},
    )
    app.add_api_route("/metrics", metrics, response_class=Response, responses=responses(*EVERYWHERE))


async def classify(request: Request) -> Response:
    """Classify a text, or many in one request."""
    context, exchange = context_of(request), exchange_of(request)
    context.check_open()
    values = await read_object(request, context.settings, context.uploads)
    served = context.models.asked_for(values)
    asked = read_values(values, served.request_model)
    exchange.texts = len(asked.texts)
    exchange.characters = sum(len(text) for text in asked.texts)
    with served.in_use():
        predictions = await _while_connected(request, served.batcher.predict(asked.texts))
    exchange.tokens = sum(prediction.tokens for prediction in predictions)
    most = context.settings.max_top_k
    return JSONResponse(_response(served.name, predictions, asked.top_k, most).model_dump())


async def _while_connected(request: Request, work: Coroutine[Any, Any, AnswerT]) -> AnswerT:
    """The answer of `work`; where the caller goes away first, it is cancelled at once."""
    answer, gone = asyncio.create_task(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _response(
    model_name: str, predictions: Sequence[Prediction], top_k: int | None, most: int
) -> ClassifyResponse:
    return ClassifyResponse(
        model=model_name,
        results=[_result(prediction, top_k or _fitting(prediction, most)) for prediction in predictions],
        usage=Usage(texts=len(predictions), tokens=sum(prediction.tokens for prediction in predictions)),
    )


def _fitting(prediction: Prediction, most: int) -> int:
    """So many scores that those of all labels given are among them, within the cap."""
    return min(most, max(DEFAULT_TOP_K, len(prediction.labels)))


def _result(prediction: Prediction, top_k: int) -> Result:
    likeliest = next(iter(prediction.labels), None)
    return Result(
        label=likeliest,
        score=None if likeliest is None else prediction.scores[likeliest],
        labels=list(prediction.labels),
        truncated=prediction.truncated,
        scores=[LabelScore(label=label, score=score) for label, score in prediction.top(top_k)],
    )


async def alive(request: Request) -> Health:  # noqa: ARG001 -- answers as long as the event loop turns
    """Say that the server lives."""
    return Health(status="alive")


async def ready(request: Request) -> Response:
    """Say whether new requests are welcome: not while loading, and not while shutting down."""
    context = context_of(request)
    status = "ready" if context.ready else "draining" if context.draining else "loading"
    return JSONResponse({"status": status}, status_code=200 if context.ready else 503)


async def metrics(request: Request) -> Response:
    """Give the metrics in Prometheus' text format."""
    return Response(context_of(request).metrics.exposition(), media_type="text/plain; version=0.0.4")
