"""What people open in a browser: a page to try the model, the reference, and their static files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tunesmith import __version__
from tunesmith.api.context import context_of
from tunesmith.api.reference import operations
from tunesmith.api.refusal import STATUS
from tunesmith.api.request import DEFAULT_TOP_K
from tunesmith.files import sha256_bytes

__all__ = ["add_pages", "add_reference", "reference_page", "static_file", "try_page"]

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_CODE = re.compile(r"`([^`]+)`")
_MOST_BARS = 8
_MOST_LABELS = 40
# names carry the hash of what they hold, so that a browser may keep them for good
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def add_pages(app: FastAPI) -> None:
    """Add the routes that people open; they are no part of the OpenAPI schema."""
    _add(app, {"/": try_page})
    add_reference(app)


def add_reference(app: FastAPI) -> None:
    """Add the reference alone, for an app without a model to try."""
    _add(app, {"/docs": reference_page, "/static/{name}": static_file})


def _add(app: FastAPI, routes: Mapping[str, Callable[..., Any]]) -> None:
    for path, endpoint in routes.items():
        app.add_api_route(path, endpoint, include_in_schema=False, response_class=HTMLResponse)


async def try_page(request: Request) -> Response:
    """The page to try a model: the one that the query names, else the default."""
    context = context_of(request)
    needs_key = context.settings.needs_key
    # who may not ask for the facts does not read them here either, nor which models there are
    facts = context.models.find(None if needs_key else request.query_params.get("model")).facts
    names = [] if needs_key else [each.model for each in context.models.facts]
    return _page(
        "try.html.jinja",
        facts=None if needs_key else facts,
        others=names if len(names) > 1 else [],
        needs_key=needs_key,
        bars=min(len(facts.labels), _MOST_BARS, context.settings.max_top_k),
        top_k=min(len(facts.labels), 3, DEFAULT_TOP_K),
        most_labels=_MOST_LABELS,
        url=str(request.base_url).rstrip("/"),
    )


async def reference_page(request: Request) -> Response:
    """The reference, made from the OpenAPI schema."""
    found = operations(request.app.openapi())
    tries = any(getattr(route, "path", None) == "/" for route in request.app.routes)
    return _page("reference.html.jinja", operations=found, statuses=STATUS, tries=tries)


async def static_file(name: str) -> Response:
    """A style sheet, script or image."""
    found = _static().get(name)
    if found is None:
        raise HTTPException(404)
    content, media_type = found
    return Response(content, media_type=media_type, headers=_FOREVER)


def _page(template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(_environment().get_template(template).render(version=__version__, **values))


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tunesmith.api", "page/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = _static_url
    environment.filters["with_code"] = _with_code
    return environment


def _with_code(text: str) -> Markup:
    """What stands between backticks, as code; the rest is escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 -- it has just been escaped


@cache
def _static() -> dict[str, tuple[bytes, str]]:
    """Hashed name -> content and media type."""
    found = {}
    for entry in (files("tunesmith.api") / "page" / "static").iterdir():
        stem, _, suffix = entry.name.rpartition(".")
        if media_type := _TYPES.get(f".{suffix}"):
            content = entry.read_bytes()
            found[f"{stem}.{sha256_bytes(content)[:12]}.{suffix}"] = (content, media_type)
    return found


@cache
def _static_url(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    (hashed,) = [
        found for found in _static() if found.startswith(f"{stem}.") and found.endswith(f".{suffix}")
    ]
    return f"static/{hashed}"
