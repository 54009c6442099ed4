"""/v1/models: the bases of the studio, and the models that jobs made."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request

from tunesmith.api.openapi import EVERYWHERE, responses
from tunesmith.api.refusal import Refusal
from tunesmith.studio.context import on_disk, project_of, studio_of
from tunesmith.studio.ids import is_tuned
from tunesmith.studio.refusing import no_such_model, store_refusals
from tunesmith.studio.told import Deleted, ModelObject, Models
from tunesmith.studio.types import Model

__all__ = ["add_model_routes", "found_model", "model_facts", "models", "remove_model"]

_OWNER_OF_BASES = "tunesmith"
_LONGEST_NAME = 256


def add_model_routes(app: FastAPI) -> None:
    """Add the routes of models."""
    app.add_api_route("/v1/models", models, response_model=Models, responses=responses(*EVERYWHERE))
    # the name of a base may hold a slash
    one = "/v1/models/{model:path}"
    told = responses(*EVERYWHERE, "no-such-model")
    app.add_api_route(one, model_facts, response_model=ModelObject, responses=told)
    app.add_api_route(
        one,
        remove_model,
        methods=["DELETE"],
        response_model=Deleted,
        responses=responses(*EVERYWHERE, "foreign-origin", "no-such-model", "base-stays", "in-use"),
    )


async def models(request: Request) -> Models:
    """List the bases, then the models of the project, the newest first."""
    studio = studio_of(request)
    tuned = await on_disk(studio.store.models.all_of, project_of(request))
    return Models(data=[*map(_base, studio.config.bases), *map(ModelObject.of, tuned)])


async def model_facts(request: Request, model: str) -> ModelObject:
    """Tell of one model."""
    if model in studio_of(request).config.bases:
        return _base(model)
    return ModelObject.of(await found_model(request, model))


async def remove_model(request: Request, model: str) -> Deleted:
    """Remove a model that a job made, and that no other begins with."""
    studio = studio_of(request)
    if model in studio.config.bases:
        message = "this is a base of the studio; only models that your jobs made can be removed"
        raise Refusal("base-stays", message, param="model")
    found = await found_model(request, model)
    with store_refusals():
        gone = await on_disk(studio.store.models.remove, project_of(request), found.id)
    if gone is not None:
        studio.answering.forget(gone)
        # a blob that outlives its row is removed by the janitor
        await on_disk(studio.blobs.remove, gone.blob)
    return Deleted(id=found.id, object="model")


async def found_model(request: Request, model: str) -> Model:
    """A model that a job of the caller's project made; raises Refusal `no-such-model`."""
    found = None
    if is_tuned(model) and model.isprintable() and len(model) <= _LONGEST_NAME:
        found = await on_disk(studio_of(request).store.models.find, project_of(request), model)
    if found is None:
        raise no_such_model()
    return found


def _base(name: str) -> ModelObject:
    return ModelObject(id=name, created=0, owned_by=_OWNER_OF_BASES)
