"""An app without routes, behind all that guards it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tunesmith import __version__
from tunesmith.api.front import Front
from tunesmith.api.keyring import Keyring
from tunesmith.api.quotas import Quotas
from tunesmith.api.refusal import Refusal, from_http
from tunesmith.api.shared import Shared

__all__ = ["guarded_app"]


def guarded_app(
    context: Shared,
    description: str,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    quotas: Quotas | None = None,
) -> FastAPI:
    """An app whose requests pass `Front`, and whose framework's own errors take the way of our refusals.

    `quotas` are given where other processes count towards them, too.
    """
    app = _App(
        title="tunesmith",
        version=__version__,
        description=description,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.context = context
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(RequestValidationError, _refuse_http)
    quotas = quotas or Quotas(context.settings)
    app.add_middleware(Front, context=context, keyring=Keyring(context.settings), quotas=quotas)
    return app


class _App(FastAPI):
    """An app whose schema says nothing of the framework's own refusals, which nobody is told."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI schema."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for operation in (each for path in schema["paths"].values() for each in path.values()):
                if operation["responses"].get("422", {}).get("description") == "Validation Error":
                    del operation["responses"]["422"]
        return super().openapi()


async def _refuse_http(_request: Request, error: Exception) -> NoReturn:
    """What the framework refuses takes the way of our own refusals."""
    if isinstance(error, HTTPException):
        raise from_http(error) from error
    raise Refusal("bad-request", "the request cannot be understood; /docs says how to send one") from error
