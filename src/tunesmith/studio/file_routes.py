"""/v1/files: files come, are listed, read and removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tunesmith.api.openapi import EVERYWHERE, body_of, queries_of, responses
from tunesmith.api.refusal import Refusal
from tunesmith.studio.arrival import Arrival
from tunesmith.studio.asked import FileForm
from tunesmith.studio.context import Studio, on_disk, project_of, studio_of
from tunesmith.studio.ids import is_id, new_id
from tunesmith.studio.reading import AFTER, LIMIT, canonical, fingerprint_of, query_of, validated, window_of
from tunesmith.studio.receiving import Form, Limit, receive
from tunesmith.studio.refusing import store_refusals
from tunesmith.studio.store.rows import Order
from tunesmith.studio.told import Deleted, FileObject, Listed, listed
from tunesmith.studio.types import File

__all__ = [
    "COMING",
    "add_file",
    "add_file_routes",
    "file",
    "file_content",
    "files",
    "found_file",
    "limit_of",
    "project_full",
    "remove_file",
]

_CHUNK_BYTES = 256 << 10
_MOST_FILES = 10_000
COMING = (
    *("foreign-origin", "slow-body", "body-too-large", "encoded-body", "not-a-form", "bad-form", "draining"),
    *("missing-field", "unknown-field", "bad-field", "busy", "project-full", "disk-low", "storage-fault"),
)
_FORM = {
    "type": "object",
    "required": ["purpose", "file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The file itself."},
        "purpose": {"type": "string", "description": "What the file is for; training needs `fine-tune`."},
        "expires_after[anchor]": {"type": "string", "description": "`created_at`"},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
    },
}


def add_file_routes(app: FastAPI) -> None:
    """Add the routes of files."""
    app.add_api_route(
        "/v1/files",
        add_file,
        methods=["POST"],
        response_model=FileObject,
        responses=responses(*EVERYWHERE, *COMING, "key-reused"),
        openapi_extra=body_of({"multipart/form-data": _FORM}),
    )
    asked = responses(*EVERYWHERE, "unknown-field", "bad-field")
    order, purpose = "`desc`, the newest first, or `asc`.", "Only files with this purpose."
    queries = queries_of(after=AFTER, limit=LIMIT, order=order, purpose=purpose)
    app.add_api_route(
        "/v1/files", files, response_model=Listed[FileObject], responses=asked, openapi_extra=queries
    )
    one, told = "/v1/files/{file_id}", responses(*EVERYWHERE, "no-such-file")
    app.add_api_route(one, file, response_model=FileObject, responses=told)
    app.add_api_route(f"{one}/content", file_content, response_class=StreamingResponse, responses=told)
    app.add_api_route(
        one,
        remove_file,
        methods=["DELETE"],
        response_model=Deleted,
        responses=responses(*EVERYWHERE, "foreign-origin", "no-such-file", "in-use"),
    )


async def add_file(request: Request) -> FileObject:
    """Keep a file; it is poured to disk as it comes, and what is cut off leaves nothing."""
    studio, project = studio_of(request), project_of(request)
    studio.check_not_draining()
    limit = await limit_of(studio, project, studio.config.max_file_bytes)
    file_id = new_id("file")
    fields = ("purpose", "expires_after[anchor]", "expires_after[seconds]")
    async with Arrival(studio.blobs, f"files/{file_id}", studio.config.free_bytes) as arrival:
        form = await receive(request, arrival, file="file", fields=fields, limit=limit)
        kept = await _kept(request, arrival, form, file_id)
    return FileObject.of(kept)


async def _kept(request: Request, arrival: Arrival, form: Form, file_id: str) -> File:
    studio, project = studio_of(request), project_of(request)
    asked = validated(_values(form), FileForm)
    name = form.filename or ""
    made = File(file_id, project, 0, name, asked.purpose, arrival.bytes, arrival.sha256, arrival.blob)
    same = fingerprint_of(request, canonical([arrival.sha256, name, asked.model_dump()]))
    keep = None if asked.expires_after is None else asked.expires_after.seconds
    most = studio.config.project_bytes
    async with studio.turns.turn(f"{project} {same.sha256}"):
        await arrival.keep()
        with store_refusals(project_full(most)):
            kept = await on_disk(studio.store.files.add, made, same, keep_seconds=keep, most_bytes=most)
        if kept.id == file_id:
            arrival.settle()
    return kept


def _values(form: Form) -> dict[str, object]:
    """The fields of a form as JSON would have them."""
    values: dict[str, object] = {}
    expires: dict[str, object] = {}
    for name, value in form.fields.items():
        if not name.startswith("expires_after["):
            values[name] = value
            continue
        digits = value.isascii() and value.isdecimal() and len(value) < 19
        expires[name.removeprefix("expires_after[").removesuffix("]")] = int(value) if digits else value
    return values | ({"expires_after": expires} if expires else {})


async def files(request: Request) -> Listed[FileObject]:
    """List the files, the newest first."""
    query = query_of(request, ("after", "limit", "order", "purpose"))
    window, order = window_of(query, default=_MOST_FILES, most=_MOST_FILES), _order(query)
    with store_refusals():
        page = await on_disk(
            studio_of(request).store.files.page,
            project_of(request),
            purpose=query.get("purpose"),
            after=window.after,
            limit=window.limit,
            order=order,
        )
    return listed(page, FileObject.of)


def _order(query: Mapping[str, str]) -> Order:
    match query.get("order", "desc"):
        case "asc":
            return "asc"
        case "desc":
            return "desc"
    raise Refusal("bad-field", "`order` must be asc or desc", param="order")


async def file(request: Request, file_id: str) -> FileObject:
    """Tell of one file."""
    return FileObject.of(await found_file(request, file_id))


async def file_content(request: Request, file_id: str) -> Response:
    """Give what a file holds, to be saved and not shown."""
    found = await found_file(request, file_id)
    stream = await on_disk(studio_of(request).blobs.open, found.blob)
    headers = {
        "Content-Length": str(found.bytes),
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(found.filename, safe='')}",
    }
    return StreamingResponse(_chunks(stream), headers=headers, media_type="application/octet-stream")


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


async def remove_file(request: Request, file_id: str) -> Deleted:
    """Remove a file that no job needs any more."""
    studio = studio_of(request)
    await found_file(request, file_id)
    with store_refusals():
        gone = await on_disk(studio.store.files.remove, project_of(request), file_id)
    if gone is None:
        raise _no_file()
    # a blob that outlives its row is removed by the janitor
    await on_disk(studio.blobs.remove, gone.blob)
    return Deleted(id=file_id, object="file")


async def found_file(request: Request, file_id: str) -> File:
    """A file of the caller's project; raises Refusal `no-such-file`."""
    found = None
    if is_id("file", file_id):
        found = await on_disk(studio_of(request).store.files.find, project_of(request), file_id)
    if found is None:
        raise _no_file()
    return found


def _no_file() -> Refusal:
    return Refusal("no-such-file", "there is no file with this id", param="file_id")


async def limit_of(studio: Studio, project: str, most: int) -> Limit:
    """How many bytes may come: at most `most`, and no more than the project may still keep."""
    room = studio.config.project_bytes
    if room:
        left = room - await on_disk(studio.store.files.bytes_of, project)
        if left < most:
            return Limit(max(0, left), project_full(room))
    message = f"the file has more than {most:,} bytes; a file may come in several parts, to /v1/uploads"
    return Limit(most, Refusal("body-too-large", message))


def project_full(most: int) -> Refusal:
    """What is told where the files of a project would take more than `most` bytes."""
    message = f"the files of your project would take more than {most:,} bytes; remove some first"
    return Refusal("project-full", message)
