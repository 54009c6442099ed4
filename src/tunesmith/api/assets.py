"""Assets: the templates and static files of which an app makes its pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from tunesmith import __version__
from tunesmith.files import sha256_bytes

__all__ = ["Assets"]

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_CODE = re.compile(r"`([^`]+)`")
# names carry the hash of what they hold, so that a browser may keep them for good
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Assets:
    """What lies in the directory `page` of some packages, and what `made` adds: name -> content."""

    def __init__(self, *packages: str, made: Callable[[], Mapping[str, bytes]] = dict) -> None:
        self._packages = packages
        self._made = made

    def add_to(self, app: FastAPI, routes: Mapping[str, Callable[..., Any]]) -> None:
        """Add the routes that people open, and that of static files; they are no part of the schema."""
        for path, endpoint in {**routes, "/static/{name}": self.file}.items():
            app.add_api_route(path, endpoint, include_in_schema=False, response_class=HTMLResponse)

    def page(self, template: str, **values: Any) -> HTMLResponse:
        """A template, filled in."""
        return HTMLResponse(self._environment.get_template(template).render(version=__version__, **values))

    async def file(self, name: str) -> Response:
        """A style sheet, script or image; raises HTTPException where there is none of that name."""
        found = self._static.get(name)
        if found is None:
            raise HTTPException(404)
        content, media_type = found
        return Response(content, media_type=media_type, headers=_FOREVER)

    def url(self, name: str) -> str:
        """Where a static file is, seen from a page."""
        stem, _, suffix = name.rpartition(".")
        (hashed,) = [
            found for found in self._static if found.startswith(f"{stem}.") and found.endswith(f".{suffix}")
        ]
        return f"static/{hashed}"

    @cached_property
    def _static(self) -> dict[str, tuple[bytes, str]]:
        """Hashed name -> content and media type."""
        return {
            _hashed(name, content): (content, _TYPES[Path(name).suffix]) for name, content in self._contents()
        }

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        for package in self._packages:
            for entry in (files(package) / "page" / "static").iterdir():
                if Path(entry.name).suffix in _TYPES:
                    yield entry.name, entry.read_bytes()
        yield from self._made().items()

    @cached_property
    def _environment(self) -> Any:
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=ChoiceLoader([PackageLoader(package, "page/templates") for package in self._packages]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals["static"] = self.url
        environment.filters |= {"with_code": _with_code, "millions": _millions, "thousands": "{:,}".format}
        return environment


def _millions(count: int) -> Markup:
    """A number as people say it."""
    if count < 1_000_000:
        return Markup(f"{count:,}")  # noqa: S704 -- a number
    return Markup(f'{count / 1e6:,.1f} <span class="unit">million</span>')  # noqa: S704 -- a number


def _with_code(text: str) -> Markup:
    """What stands between backticks, as code; the rest is escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 -- it has just been escaped


def _hashed(name: str, content: bytes) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{sha256_bytes(content)[:12]}.{suffix}"
