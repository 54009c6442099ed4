"""/v1/explain: what the words of a text did for its answer."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunesmith.api.connected import disconnected, while_connected
from tunesmith.api.context import Context, context_of
from tunesmith.api.exchange import exchange_of
from tunesmith.api.explain_schemas import ExplainRequest, ExplainResponse, ScoredPiece
from tunesmith.api.explaining import COST_TEXTS
from tunesmith.api.limits import read_object
from tunesmith.api.openapi import LIMITED, WITH_BODY, body_of, responses
from tunesmith.api.request import explain_model, read_values
from tunesmith.api.served import Served
from tunesmith.model.explanation import Explanation, TokenScore

__all__ = ["add_explain_route", "explain"]

_EXPLAIN = (
    *(*LIMITED, *WITH_BODY, "empty-input", "text-too-long", "unknown-label", "no-such-model"),
    *("no-gradients", "busy"),
)


def add_explain_route(app: FastAPI, context: Context) -> None:
    """Add the route of explanations."""
    app.state.explain_model = explain_model(context.settings.max_characters)
    app.add_api_route(
        "/v1/explain",
        explain,
        methods=["POST"],
        response_model=ExplainResponse,
        responses=responses(*_EXPLAIN),
        openapi_extra=body_of({"application/json": app.state.explain_model}),
    )


async def explain(request: Request) -> Response:
    """Say what each word of a text did for its label, behind all who wait for a label."""
    context, exchange = context_of(request), exchange_of(request)
    context.check_not_draining()
    context.explaining.check()
    with exchange.timed("read"):
        values = await read_object(request, context.settings, context.uploads)
        asked: ExplainRequest = read_values(values, request.app.state.explain_model)
    served = context.models.find(asked.model)
    served.explainer.check(served.facts.engine, served.facts.labels, asked.label)
    with context.explaining.permit(), served.in_use(), exchange.timed("answer"):
        exchange.charge_work(asked.input, COST_TEXTS)
        work = served.explainer.explain(asked.input, asked.label)
        found = await while_connected(disconnected(request.receive), work)
    exchange.tokens = len(found.tokens)
    context.metrics.explained.inc()
    with exchange.timed("write"):
        return JSONResponse(_response_of(served, found).model_dump())


def _response_of(served: Served, found: Explanation) -> ExplainResponse:
    return ExplainResponse(
        model=served.name,
        label=found.label,
        log_odds=found.log_odds,
        baseline=found.baseline,
        gap=found.gap,
        truncated=found.truncated,
        tokens=_pieces(found.tokens),
        words=_pieces(found.words),
    )


def _pieces(scores: Sequence[TokenScore]) -> list[ScoredPiece]:
    return [ScoredPiece(text=each.text, start=each.start, end=each.end, score=each.score) for each in scores]
