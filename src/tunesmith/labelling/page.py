"""A page to label on, for the one person who was told its address."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NoReturn, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, SecretStr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tunesmith.api.context import Context
from tunesmith.api.front import Front
from tunesmith.api.keyring import Keyring
from tunesmith.api.metrics import Metrics
from tunesmith.api.quotas import Quotas
from tunesmith.api.refusal import Refusal, from_http
from tunesmith.api.server import serve
from tunesmith.api.settings import Settings
from tunesmith.errors import UserError
from tunesmith.labelling.session import Session

__all__ = ["create_page", "serve_page"]

_HERE = files("tunesmith.labelling") / "static"
_LOOKS = files("tunesmith.api") / "page" / "static"
_FILES = {
    "label.css": (_HERE, "text/css; charset=utf-8"),
    "label.js": (_HERE, "text/javascript; charset=utf-8"),
    "page.css": (_LOOKS, "text/css; charset=utf-8"),
    "icon.svg": (_LOOKS, "image/svg+xml"),
}


@dataclass(slots=True)
class _Desk:
    """What Front and Server ask of the context of an app."""

    settings: Settings
    metrics: Metrics = field(default_factory=Metrics)

    def drain(self) -> None:
        """Nothing waits here."""


class _About(BaseModel):
    """Which text is meant, and its labels."""

    model_config = ConfigDict(extra="forbid", strict=True)

    row: int
    labels: list[str] = []


def serve_page(
    session: Session,
    labels: Sequence[str],
    *,
    several: bool,
    port: int,
    on_listening: Callable[[str], None],
) -> None:
    """Serve the page on 127.0.0.1 until SIGTERM or SIGINT; `on_listening` hears the address with its key.

    Raises ServiceError where the port cannot be had.
    """
    key = secrets.token_urlsafe(32)

    def listening(url: str) -> None:
        # a line for every click would hide the address
        logging.getLogger("tunesmith.api").setLevel(logging.WARNING)
        on_listening(f"{url}#{key}")

    serve(create_page(session, labels, several=several, key=key), port=port, on_listening=listening)


def create_page(session: Session, labels: Sequence[str], *, several: bool, key: str) -> FastAPI:
    """The application; all but its static files answers only those who send `key`."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    desk = _Desk(Settings(api_key=SecretStr(key), allowed_hosts=("127.0.0.1", "localhost")))
    app.state.context = desk
    _add_files(app)
    _add_answers(app, session, tuple(labels), several)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(UserError, _refuse)
    keyring, quotas = Keyring(desk.settings), Quotas(desk.settings)
    app.add_middleware(Front, context=cast(Context, desk), keyring=keyring, quotas=quotas)
    return app


def _add_files(app: FastAPI) -> None:
    @app.get("/")
    def page() -> Response:
        return Response((_HERE / "label.html").read_bytes(), media_type="text/html; charset=utf-8")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in _FILES:
            raise HTTPException(404)
        place, media_type = _FILES[name]
        return Response((place / name).read_bytes(), media_type=media_type)


def _add_answers(app: FastAPI, session: Session, labels: tuple[str, ...], several: bool) -> None:
    def state() -> dict[str, Any]:
        asked = session.asked
        return {
            "row": asked.row,
            "text": asked.text,
            "where": asked.where,
            "labelled": asked.labelled,
            "left": asked.left,
            "skipped": asked.skipped,
            "can_undo": asked.can_undo,
            "labels": labels,
            "several": several,
        }

    @app.get("/state")
    def tell() -> dict[str, Any]:
        return state()

    @app.post("/answer")
    def answer(about: _About) -> dict[str, Any]:
        given = tuple(label for label in labels if label in about.labels)
        if len(given) != len(about.labels) or not (several or len(given) == 1):
            raise Refusal("bad-field", "`labels` must be labels of this task", param="labels")
        session.answer(about.row, given)
        return state()

    @app.post("/skip")
    def skip(about: _About) -> dict[str, Any]:
        session.skip(about.row)
        return state()

    @app.post("/undo")
    def undo() -> dict[str, Any]:
        session.undo()
        return state()


async def _refuse(request: Request, error: Exception) -> NoReturn:
    """What is raised takes the way of the server's refusals."""
    match error:
        case HTTPException():
            raise from_http(error, request) from error
        case UserError(problems=(problem, *_)):
            raise Refusal("server-fault", f"{problem.what}: {problem.where}; {problem.fix}") from error
        case _:
            raise Refusal("bad-request", "the request cannot be understood") from error
