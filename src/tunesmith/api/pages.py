"""What people open in a browser: a page to try the models, their reports, the reference, and static files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tunesmith.api.assets import Assets
from tunesmith.api.context import context_of
from tunesmith.api.reference import operations
from tunesmith.api.refusal import STATUS
from tunesmith.api.request import DEFAULT_TOP_K
from tunesmith.api.schemas import ModelFacts

__all__ = ["add_pages", "opened_page", "reference", "reference_page", "report_page", "try_page"]

_REPORT_STYLE = "report.css"
_MOST_BARS = 8
_MOST_LABELS = 40


def _report_style() -> Mapping[str, bytes]:
    from tunesmith.evaluation.page import style_sheet

    return {_REPORT_STYLE: style_sheet().encode()}


_ASSETS = Assets("tunesmith.api", made=_report_style)


def add_pages(app: FastAPI) -> None:
    """Add the routes that people open."""
    # whatever is not named in the guard needs the key
    keyed = {"/opened": opened_page, "/report": report_page}
    _ASSETS.add_to(app, {"/": try_page, "/docs": reference_page, **keyed})


async def try_page(request: Request) -> Response:
    """The page to try a model: the one that the query names, else the default."""
    # who may not ask for the facts does not read them here either, nor which models there are
    return _try(request, told=not context_of(request).settings.needs_key)


async def opened_page(request: Request) -> Response:
    """The same with all facts: the page takes its parts from it once it has a key that is right."""
    return _try(request, told=True)


async def report_page(request: Request) -> Response:
    """The evaluation of the model that the query names, else of the default."""
    served = context_of(request).models.find(request.query_params.get("model"))
    return HTMLResponse(await asyncio.to_thread(served.report_page, _ASSETS.url(_REPORT_STYLE)))


def _try(request: Request, *, told: bool) -> Response:
    context = context_of(request)
    facts = context.models.find(request.query_params.get("model") if told else None).facts
    models = context.models.facts if told else []
    return _ASSETS.page(
        "try.html.jinja",
        facts=facts if told else None,
        models=models,
        others=[each.model for each in models] if len(models) > 1 else [],
        needs_key=context.settings.needs_key,
        batches=request.app.state.takes_batches,
        known={each.model: _for_answers(each) for each in models},
        bars=min(len(facts.labels), _MOST_BARS, context.settings.max_top_k),
        top_k=min(len(facts.labels), 3, DEFAULT_TOP_K),
        most_labels=_MOST_LABELS,
        url=str(request.base_url).rstrip("/"),
    )


def _for_answers(facts: ModelFacts) -> dict[str, Any]:
    """What the page needs beside an answer of a model."""
    return {
        "explains": facts.explains,
        "several": facts.kind == "multi_label",
        "bins": [] if facts.calibration is None else [each.model_dump() for each in facts.calibration.bins],
    }


async def reference_page(request: Request) -> Response:
    """The reference, made from the OpenAPI schema."""
    return reference(_ASSETS, request, "Try the model in the browser")


def reference(assets: Assets, request: Request, home: str) -> Response:
    """The reference of the app that the request came to; `home` says what its first page is for."""
    found = operations(request.app.openapi())
    return assets.page("reference.html.jinja", operations=found, statuses=STATUS, home=home)
