"""/v1/chat/completions, /v1/completions and /v1/classify."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunesmith.api.connected import disconnected, while_connected
from tunesmith.api.exchange import exchange_of
from tunesmith.api.limits import read_object
from tunesmith.api.openapi import EVERYWHERE, WITH_BODY, body_of, responses
from tunesmith.api.refusal import Refusal
from tunesmith.api.request import read_values
from tunesmith.api.results import response_of
from tunesmith.api.schemas import ClassifyRequest, ClassifyResponse
from tunesmith.studio.answering.asked import ChatRequest, CompletionRequest
from tunesmith.studio.answering.labelling import ClassifierAnswers
from tunesmith.studio.answering.limits import allowed_seconds, in_time
from tunesmith.studio.answering.memory import Load
from tunesmith.studio.answering.question import Question, chat_question, completion_question
from tunesmith.studio.answering.response import AnswerResponse, Asked
from tunesmith.studio.answering.told import ChatForm, CompletionForm, Form
from tunesmith.studio.context import Studio, studio_of
from tunesmith.studio.model_routes import found_model

__all__ = ["add_answer_routes", "chat", "classify", "complete"]

_ANSWERED = (*EVERYWHERE, *WITH_BODY, "no-such-model", "bad-model", "model-too-large", "busy", "rate-limited")
_WRITTEN = (*_ANSWERED, "not-supported", "prompt-too-long", "bad-schema", "bad-template", "empty-input")


def add_answer_routes(app: FastAPI) -> None:
    """Add the routes that answer."""
    _add(app, "/v1/chat/completions", chat, ChatRequest, *_WRITTEN, "out-of-time")
    _add(app, "/v1/completions", complete, CompletionRequest, *_WRITTEN, "out-of-time")
    more = ("empty-input", "text-too-long", "too-many-texts", "bad-top-k", "not-a-classifier", "out-of-time")
    _add(app, "/v1/classify", classify, ClassifyRequest, *_ANSWERED, *more)


def _add(app: FastAPI, path: str, route: Callable[..., object], body: object, *codes: str) -> None:
    told = responses(*codes)
    app.add_api_route(
        path,
        route,
        methods=["POST"],
        response_class=Response,
        responses=told,
        openapi_extra=body_of({"application/json": body}),
    )


async def chat(request: Request) -> Response:
    """Answer the last of some messages, in one piece or as it is written."""
    question = chat_question(await _read(request))
    return await _response(request, question, ChatForm(question.how["logprobs"] is not None))


async def complete(request: Request) -> Response:
    """Go on with a text, or with several, in one piece or as it is written."""
    question = completion_question(await _read(request))
    return await _response(request, question, CompletionForm(question.how["logprobs"]))


async def classify(request: Request) -> Response:
    """Give labels to a text, or to many in one request."""
    studio, exchange = studio_of(request), exchange_of(request)
    values = await _read(request)
    name = _name(values)
    model = await _model(request, name)
    with studio.answering.places.permit(), exchange.timed("answer"):
        work = _classified(studio, request, values, name, model)
        told = await while_connected(disconnected(request.receive), work)
    return JSONResponse(told.model_dump())


async def _classified(
    studio: Studio, request: Request, values: Mapping[str, object], name: str, model: tuple[str, Load]
) -> ClassifyResponse:
    exchange = exchange_of(request)
    seconds = allowed_seconds(request.headers, studio.config.answer_seconds)
    async with in_time(studio, seconds), studio.answering.memory.using(*model) as answerer:
        if not isinstance(answerer, ClassifierAnswers):
            message = "this model writes and gives no labels; ask it with /v1/chat/completions"
            raise Refusal("not-a-classifier", message, param="model")
        asked = read_values(values, answerer.served.request_model)
        exchange.count(asked.texts)
        predictions = await answerer.served.batcher.predict(asked.texts, exchange.note)
    exchange.tokens = sum(prediction.tokens for prediction in predictions)
    return response_of(name, predictions, asked.top_k, studio.settings.max_top_k)


async def _read(request: Request) -> dict[str, object]:
    """The body as JSON; raises Refusal before it is read, where it would be read in vain."""
    studio = studio_of(request)
    studio.check_not_draining()
    studio.answering.places.check()
    with exchange_of(request).timed("read"):
        return await read_object(request, studio.settings, studio.uploads)


def _name(values: Mapping[str, object]) -> str:
    name = values.get("model")
    if not isinstance(name, str):
        raise Refusal("missing-field", "`model` is missing: the name of a model", param="model")
    return name


async def _model(request: Request, name: str) -> tuple[str, Load]:
    """The key of the caller's model of this name in memory, and what loads it; raises Refusal."""
    studio = studio_of(request)
    if name in studio.config.bases:
        return studio.answering.base(name)
    return studio.answering.model(await found_model(request, name))


async def _response(request: Request, question: Question, form: Form) -> Response:
    studio, exchange = studio_of(request), exchange_of(request)
    key, load = await _model(request, question.model)
    studio.answering.places.check()
    exchange.count(question.texts)
    most = studio.config.answer_seconds
    seconds = most if question.stream else allowed_seconds(request.headers, most)
    return AnswerResponse(studio, exchange, Asked(question, form, key, load, seconds))
