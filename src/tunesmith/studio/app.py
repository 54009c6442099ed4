"""create_studio: what is kept, and settings -> the whole HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from tunesmith.api.gate import Gate
from tunesmith.api.guarded import guarded_app
from tunesmith.api.metrics import Metrics
from tunesmith.api.probes import add_probes
from tunesmith.api.settings import Settings
from tunesmith.studio.answering.answering import Answering
from tunesmith.studio.answering.routes import add_answer_routes
from tunesmith.studio.blobs import Blobs
from tunesmith.studio.check_routes import add_check_routes
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.context import Studio
from tunesmith.studio.counting import counting
from tunesmith.studio.file_routes import add_file_routes
from tunesmith.studio.janitor import cleaning
from tunesmith.studio.job_routes import add_job_routes
from tunesmith.studio.key_routes import add_key_routes
from tunesmith.studio.model_routes import add_model_routes
from tunesmith.studio.pages import add_studio_pages
from tunesmith.studio.refusing import add_storage_faults
from tunesmith.studio.store import Store
from tunesmith.studio.upload_routes import add_upload_routes

__all__ = ["create_studio"]


def create_studio(store: Store, blobs: Blobs, config: StudioConfig, settings: Settings) -> FastAPI:
    """The application that keeps files, makes jobs and tells of models; it cleans up while it runs."""
    metrics = Metrics()
    uploads, streams = Gate(settings.max_uploads), Gate(settings.max_streams)
    uploads.on_change = metrics.uploads.set
    answering = Answering(blobs, config, settings)
    answering.places.on_change = metrics.waiting.set
    studio = Studio(settings, config, store, blobs, metrics, uploads, streams, answering)
    app = guarded_app(studio, "Fine-tuning on your own machine, as OpenAI's API has it.", _lifespan)
    add_storage_faults(app)
    add_file_routes(app)
    add_upload_routes(app)
    add_job_routes(app)
    add_model_routes(app)
    add_check_routes(app)
    add_key_routes(app)
    add_studio_pages(app)
    add_answer_routes(app)
    add_probes(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    studio: Studio = app.state.context
    async with cleaning(studio), counting(studio), studio.answering.running():
        studio.metrics.ready.set(1)
        yield
