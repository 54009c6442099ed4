"""/v1/classify and its friends."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunesmith.api.connected import disconnected, while_connected
from tunesmith.api.context import Context, context_of
from tunesmith.api.exchange import exchange_of
from tunesmith.api.limits import check_encoding, media_type, read_object
from tunesmith.api.model_routes import ModelName
from tunesmith.api.openapi import EVERYWHERE, WITH_BODY, answered_with, body_of, responses
from tunesmith.api.request import line_model, read_values, request_model
from tunesmith.api.results import response_of
from tunesmith.api.schemas import ClassifyRequest, ClassifyResponse, LineFault, LineResult
from tunesmith.api.served import Served
from tunesmith.api.streaming import NDJSON, LineStream

__all__ = ["add_native_routes", "classify"]

_CLASSIFY = (
    *(*EVERYWHERE, *WITH_BODY, "empty-input", "text-too-long", "too-many-texts", "bad-top-k"),
    *("no-such-model", "busy"),
)


def add_native_routes(app: FastAPI, context: Context) -> None:
    """Add the routes that classify."""
    most_labels = max(len(facts.labels) for facts in context.models.facts)
    makers = {"application/json": request_model, NDJSON: line_model}
    bodies = {kind: make(most_labels, context.settings) for kind, make in makers.items()}
    lines = answered_with({NDJSON: LineResult | LineFault})
    app.add_api_route(
        "/v1/classify",
        classify,
        methods=["POST"],
        response_model=ClassifyResponse,
        responses=lines | responses(*_CLASSIFY),
        openapi_extra=body_of(bodies),
    )


async def classify(request: Request, model: ModelName = None) -> Response:
    """Classify a text, or many in one request; or lines of JSON, one answer a line, as they come."""
    context = context_of(request)
    context.check_open()
    if media_type(request.headers) == NDJSON:
        check_encoding(request.headers)
        return LineStream(context.models.find(model), context, exchange_of(request))
    with exchange_of(request).timed("read"):
        values = await read_object(request, context.settings, context.uploads)
        name = values.get("model")
        # what is no name is left to the validation
        served = context.models.find(name if isinstance(name, str) else model)
        asked = read_values(values, served.request_model)
    # what the server is too busy for counts against nobody
    context.waiting.check()
    exchange_of(request).count(asked.texts)
    return await _classified(request, served, asked)


async def _classified(request: Request, served: Served, asked: ClassifyRequest) -> Response:
    exchange = exchange_of(request)
    with served.in_use(), exchange.timed("answer"):
        answers = served.batcher.predict(asked.texts, exchange.note)
        predictions = await while_connected(disconnected(request.receive), answers)
    exchange.tokens = sum(prediction.tokens for prediction in predictions)
    most = context_of(request).settings.max_top_k
    with exchange.timed("write"):
        return JSONResponse(response_of(served.name, predictions, asked.top_k, most).model_dump())
