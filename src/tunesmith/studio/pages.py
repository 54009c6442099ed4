"""What people open in a browser: the studio, its reference, and static files."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from tunesmith.api.assets import Assets
from tunesmith.api.pages import reference
from tunesmith.studio.context import studio_of

__all__ = ["add_studio_pages", "studio_page", "studio_reference"]

_ASSETS = Assets("tunesmith.api", "tunesmith.studio")


def add_studio_pages(app: FastAPI) -> None:
    """Add the routes that people open."""
    _ASSETS.add_to(app, {"/": studio_page, "/docs": studio_reference})


async def studio_page(request: Request) -> Response:
    """The page itself; what it shows it asks for, with the key where one is needed."""
    settings = studio_of(request).settings
    return _ASSETS.page(
        "studio.html.jinja", needs_key=settings.needs_key, url=str(request.base_url).rstrip("/")
    )


async def studio_reference(request: Request) -> Response:
    """The reference, made from the OpenAPI schema."""
    return reference(_ASSETS, request, "Open the studio in the browser")
