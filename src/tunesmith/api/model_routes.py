"""/v1/model and /v1/models: what is served, and models that come and go."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunesmith.api.context import context_of
from tunesmith.api.limits import read_object
from tunesmith.api.openapi import LIMITED, WITH_BODY, body_of, responses
from tunesmith.api.request import read_values
from tunesmith.api.schemas import LoadRequest, ModelFacts, ModelList, ReplaceRequest

__all__ = ["ModelName", "add_model", "add_model_routes", "model", "models", "remove_model", "replace_model"]

ModelName = Annotated[
    str | None, Query(description="Which model, by its name. Left out: the server's first.")
]

_LOADING = (*LIMITED, *WITH_BODY, "loading-off", "bad-model-path", "bad-model", "model-too-large", "busy")


def add_model_routes(app: FastAPI) -> None:
    """Add the routes that tell of models, and change which there are."""
    told = responses(*LIMITED, "no-such-model")
    app.add_api_route("/v1/model", model, response_model=ModelFacts, responses=told)
    app.add_api_route("/v1/models", models, response_model=ModelList, responses=responses(*LIMITED))
    app.add_api_route(
        "/v1/models",
        add_model,
        methods=["POST"],
        status_code=201,
        response_model=ModelFacts,
        responses=responses(*_LOADING, "bad-model-name", "model-taken"),
        openapi_extra=body_of({"application/json": LoadRequest}),
    )
    app.add_api_route(
        "/v1/models/{name}",
        replace_model,
        methods=["PUT"],
        response_model=ModelFacts,
        responses=responses(*_LOADING, "no-such-model"),
        openapi_extra=body_of({"application/json": ReplaceRequest}),
    )
    app.add_api_route(
        "/v1/models/{name}",
        remove_model,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        responses=responses(*LIMITED, "foreign-origin", "loading-off", "no-such-model", "last-model"),
    )


async def model(request: Request, model: ModelName = None) -> ModelFacts:
    """Say what is served: its labels, and how good it was when it was evaluated."""
    return context_of(request).models.find(model).facts


async def models(request: Request) -> ModelList:
    """Say what is served under which names."""
    found = context_of(request).models
    return ModelList(default=found.default.name, models=found.facts)


async def add_model(request: Request) -> Response:
    """Load a model from below the model root and serve it under a new name, once it is warm."""
    context = context_of(request)
    context.check_not_draining()
    asked = read_values(await read_object(request, context.settings, context.uploads), LoadRequest)
    return JSONResponse((await context.shelf.add(asked.name, asked.path)).model_dump(), status_code=201)


async def replace_model(request: Request, name: str) -> ModelFacts:
    """Load a model and give it the name of another, which answers what it has begun and goes."""
    context = context_of(request)
    context.check_not_draining()
    asked = read_values(await read_object(request, context.settings, context.uploads), ReplaceRequest)
    return await context.shelf.replace(name, asked.path)


async def remove_model(request: Request, name: str) -> Response:
    """Take a model away; the answer comes once all that it had begun is answered."""
    context = context_of(request)
    context.check_not_draining()
    await context.shelf.remove(name)
    return Response(status_code=204)
