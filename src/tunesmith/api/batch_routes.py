"""/v1/batches: whole files, answered in the background."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tunesmith.api.batch import Suffix
from tunesmith.api.batch_facts import BatchFacts
from tunesmith.api.context import context_of
from tunesmith.api.limits import body_chunks, check_encoding, check_length, in_time, media_type
from tunesmith.api.model_routes import ModelName
from tunesmith.api.openapi import LIMITED, answered_with, body_of, responses
from tunesmith.api.refusal import Refusal
from tunesmith.api.streaming import NDJSON

__all__ = ["add_batch", "add_batch_routes", "batch_facts", "batch_result", "forget_batch"]

_SUFFIXES: dict[str, Suffix] = {"text/csv": ".csv", NDJSON: ".jsonl", "application/jsonl": ".jsonl"}
_MEDIA_TYPES: dict[Suffix, str] = {".csv": "text/csv", ".jsonl": NDJSON}
_UPLOADING = (
    *("no-such-model", "foreign-origin", "slow-body", "body-too-large", "encoded-body", "not-a-table"),
    *("busy", "too-many-batches", "spool-full"),
)
_FILE = {"type": "string", "format": "binary"}


class _WholeFile(FileResponse):
    """A file in one piece: of parts the framework refuses those that cannot be given in a shape not ours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["Accept-Ranges"] = "none"
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


TextColumnName = Annotated[
    str | None,
    Query(description="The column that holds the texts. Left out: as in training, else inferred."),
]


def add_batch_routes(app: FastAPI) -> None:
    """Add the routes of batches."""
    one = "/v1/batches/{batch_id}"
    app.add_api_route(
        "/v1/batches",
        add_batch,
        methods=["POST"],
        status_code=202,
        response_model=BatchFacts,
        responses=responses(*LIMITED, *_UPLOADING),
        openapi_extra=body_of(dict.fromkeys(_MEDIA_TYPES.values(), _FILE)),
    )
    files = answered_with(dict.fromkeys(_MEDIA_TYPES.values(), _FILE))
    told = responses(*LIMITED, "no-such-batch")
    app.add_api_route(one, batch_facts, response_model=BatchFacts, responses=told)
    app.add_api_route(
        one,
        forget_batch,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        responses=responses(*LIMITED, "foreign-origin", "no-such-batch"),
    )
    app.add_api_route(
        f"{one}/result",
        batch_result,
        response_class=FileResponse,
        responses=files | responses(*LIMITED, "no-such-batch", "batch-not-done"),
    )


async def add_batch(
    request: Request, model: ModelName = None, text_column: TextColumnName = None
) -> Response:
    """Take in a CSV or JSON Lines file, to be answered row by row when nobody waits for an answer."""
    context = context_of(request)
    context.check_not_draining()
    served = context.models.find(model)
    suffix = _suffix_of(request)
    settings = context.settings
    check_length(request.headers, settings.max_batch_bytes)
    with context.uploads.permit():
        chunks = in_time(body_chunks(request, settings.max_batch_bytes), settings.body_timeout_seconds)
        batch = await context.batches.add(
            chunks, served, owner=_owner_of(request), suffix=suffix, text_column=text_column or None
        )
    return JSONResponse(batch.facts(settings.batch_keep_seconds).model_dump(), status_code=202)


async def batch_facts(request: Request, batch_id: str) -> BatchFacts:
    """Say how far a batch is."""
    context = context_of(request)
    batch = context.batches.find(batch_id, _owner_of(request))
    return batch.facts(context.settings.batch_keep_seconds)


async def batch_result(request: Request, batch_id: str) -> Response:
    """Give the file with its answers, in the format in which it came."""
    record = (batch := context_of(request).batches.find(batch_id, _owner_of(request))).record
    if record.status != "done":
        raise Refusal("batch-not-done", f"the batch has no result: it is {record.status}")
    name = f"{record.id}{record.suffix}"
    return _WholeFile(batch.result, media_type=_MEDIA_TYPES[record.suffix], filename=name)


async def forget_batch(request: Request, batch_id: str) -> Response:
    """End a batch that is not done, and remove all of it."""
    batches = context_of(request).batches
    batches.forget(batches.find(batch_id, _owner_of(request)))
    return Response(status_code=204)


def _suffix_of(request: Request) -> Suffix:
    check_encoding(request.headers)
    kind = media_type(request.headers)
    if kind not in _SUFFIXES:
        message = f"send a table and say of which kind: `Content-Type: {' or '.join(_MEDIA_TYPES.values())}`"
        raise Refusal("not-a-table", message)
    return _SUFFIXES[kind]


def _owner_of(request: Request) -> str:
    """A hash of the key that came with the request; empty where none did."""
    key = request.headers.get("authorization", "").partition(" ")[2].strip()
    return hashlib.sha256(key.encode()).hexdigest() if key else ""
