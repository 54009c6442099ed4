"""create_app: a model and settings -> the whole HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from tunesmith.api.batch_routes import add_batch_routes
from tunesmith.api.batches import Batches
from tunesmith.api.context import Answers, Context
from tunesmith.api.gate import Gate
from tunesmith.api.guarded import guarded_app
from tunesmith.api.metrics import Metrics
from tunesmith.api.model_routes import add_model_routes
from tunesmith.api.models import Models
from tunesmith.api.native import add_native_routes
from tunesmith.api.pages import add_pages
from tunesmith.api.probes import add_probes
from tunesmith.api.quotas import Quotas
from tunesmith.api.served import Loaded
from tunesmith.api.settings import Settings
from tunesmith.api.shelf import Load, Shelf
from tunesmith.task import Task

__all__ = ["create_app"]


def create_app(
    predictor: Answers,
    settings: Settings,
    *,
    about: dict[str, Any],
    task: Task | None = None,
    others: Sequence[Loaded] = (),
    load: Load | None = None,
    quotas: Quotas | None = None,
) -> FastAPI:
    """The application that serves `predictor`, and beside it `others`, each under a name of its own.

    `about` holds fields of `ModelFacts` that the predictor does not know, `model` (its name) at least.
    `task` says in which column of a file its texts stand.
    Where the settings name a model root, `load` opens those that come while the server runs.
    `quotas` are given where other processes count towards them, too.
    """
    context = _context([Loaded(predictor, about, task), *others], settings, load)
    app = guarded_app(context, "A text classifier over HTTP.", _lifespan, quotas)
    add_native_routes(app, context)
    add_probes(app)
    add_model_routes(app)
    if quotas is None:
        # several processes would each know only their own batches
        add_batch_routes(app)
    add_pages(app)
    return app


def _context(loaded: Sequence[Loaded], settings: Settings, load: Load | None) -> Context:
    metrics = Metrics()
    waiting, uploads = Gate(settings.max_waiting), Gate(settings.max_uploads)
    waiting.on_change, uploads.on_change = metrics.waiting.set, metrics.uploads.set
    models = Models(loaded, settings, waiting, metrics.note_batch)
    return Context(
        settings=settings,
        models=models,
        shelf=Shelf(models, settings.model_root, load),
        batches=Batches(settings),
        waiting=waiting,
        uploads=uploads,
        streams=Gate(settings.max_streams),
        metrics=metrics,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.context.running():
        yield
