"""Refusal: a request that is not served, told in one shape whatever the reason.

Every answer that is no success is `{"error": {"message", "type", "param", "code"}}`; each code has a
heading in docs/errors.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route

__all__ = ["STATUS", "Refusal", "draining", "from_http", "refusal_response", "server_fault"]

STATUS: Mapping[str, int] = {
    "bad-body": 400,
    "missing-field": 400,
    "unknown-field": 400,
    "bad-field": 400,
    "empty-input": 400,
    "text-too-long": 400,
    "too-many-texts": 400,
    "bad-top-k": 400,
    "bad-model-name": 400,
    "bad-model-path": 400,
    "bad-request": 400,
    "bad-form": 400,
    "bad-schema": 400,
    "bad-template": 400,
    "in-use": 400,
    "key-reused": 400,
    "not-a-classifier": 400,
    "not-for-training": 400,
    "not-supported": 400,
    "parts-do-not-fit": 400,
    "project-full": 400,
    "prompt-too-long": 400,
    "wrong-state": 400,
    "unknown-host": 400,
    "unknown-label": 400,
    "wrong-key": 401,
    "foreign-origin": 403,
    "loading-off": 403,
    "base-stays": 403,
    "no-such-batch": 404,
    "no-such-file": 404,
    "no-such-job": 404,
    "no-such-upload": 404,
    "no-such-model": 404,
    "no-report": 404,
    "no-such-path": 404,
    "wrong-method": 405,
    "slow-body": 408,
    "batch-not-done": 409,
    "last-model": 409,
    "model-taken": 409,
    "no-gradients": 409,
    "body-too-large": 413,
    "encoded-body": 415,
    "not-a-form": 415,
    "not-a-table": 415,
    "not-json": 415,
    "bad-model": 422,
    "busy": 429,
    "rate-limited": 429,
    "too-many-batches": 429,
    "too-many-jobs": 429,
    "server-fault": 500,
    "draining": 503,
    "storage-fault": 503,
    "out-of-time": 504,
    "disk-low": 507,
    "model-too-large": 507,
    "spool-full": 507,
}
"""code -> HTTP status."""

_ENDS = "the server is shutting down; send the request to another, or again in a moment"

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Refusal(Exception):  # noqa: N818 (the server does as it should)
    """Why a request is not served: a code of `STATUS`, words, and the field they are about."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    @property
    def type(self) -> str:
        """The kind of fault, coarser than the code."""
        return "server_error" if self.status >= 500 else _TYPES.get(self.status, "invalid_request_error")

    def envelope(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def draining(message: str = _ENDS) -> Refusal:
    """The server ends: the caller is to open another connection, in a moment."""
    return Refusal("draining", message, headers={"Retry-After": "1", "Connection": "close"})


def server_fault(request_id: str) -> Refusal:
    """What a request hears of our own bugs."""
    return Refusal("server-fault", f"the server has a fault; its log has more under {request_id}")


def refusal_response(refusal: Refusal) -> JSONResponse:
    """The refusal as an HTTP response."""
    return JSONResponse(refusal.envelope(), status_code=refusal.status, headers=refusal.headers)


def from_http(error: HTTPException, request: Request) -> Refusal:
    """What the framework itself refuses, in our shape."""
    match error.status_code:
        case 404:
            return Refusal("no-such-path", "there is nothing at this path; /docs lists what there is")
        case 405:
            allowed = _allowed(request)
            return Refusal("wrong-method", f"this path answers {allowed} only", headers={"Allow": allowed})
        case _:
            return Refusal("bad-request", "the request cannot be understood; /docs says how to send one")


def _allowed(request: Request) -> str:
    """The methods that the path has; the framework names those of one route only."""
    routes = (each for each in request.app.routes if isinstance(each, Route))
    there = [each.methods or () for each in routes if each.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for methods in there for method in methods}))
