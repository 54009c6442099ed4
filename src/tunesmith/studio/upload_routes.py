"""/v1/uploads: files that come in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from fastapi import FastAPI
from starlette.requests import Request

from tunesmith.api.openapi import EVERYWHERE, WITH_BODY, body_of, responses
from tunesmith.api.refusal import Refusal
from tunesmith.studio.arrival import Arrival, check_disk
from tunesmith.studio.asked import MOST_PARTS, UploadComplete, UploadRequest
from tunesmith.studio.blobs import Blobs
from tunesmith.studio.context import on_disk, project_of, studio_of
from tunesmith.studio.file_routes import COMING, limit_of, project_full
from tunesmith.studio.ids import is_id, new_id
from tunesmith.studio.janitor import remove_ended_parts
from tunesmith.studio.reading import read_body
from tunesmith.studio.receiving import receive
from tunesmith.studio.refusing import store_refusals
from tunesmith.studio.told import PartObject, UploadObject
from tunesmith.studio.types import File, Part, Upload

__all__ = ["add_part", "add_upload", "add_upload_routes", "cancel_upload", "complete_upload"]

_CHUNK_BYTES = 1 << 20
_PART = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "format": "binary", "description": "The bytes of the part."}},
}


def add_upload_routes(app: FastAPI) -> None:
    """Add the routes of uploads."""
    begun = (*EVERYWHERE, *WITH_BODY, "project-full", "body-too-large")
    app.add_api_route(
        "/v1/uploads",
        add_upload,
        methods=["POST"],
        response_model=UploadObject,
        responses=responses(*dict.fromkeys(begun)),
        openapi_extra=body_of({"application/json": UploadRequest}),
    )
    one, there = "/v1/uploads/{upload_id}", ("no-such-upload", "wrong-state")
    app.add_api_route(
        f"{one}/parts",
        add_part,
        methods=["POST"],
        response_model=PartObject,
        responses=responses(*EVERYWHERE, *COMING, *there),
        openapi_extra=body_of({"multipart/form-data": _PART}),
    )
    app.add_api_route(
        f"{one}/complete",
        complete_upload,
        methods=["POST"],
        response_model=UploadObject,
        responses=responses(*EVERYWHERE, *WITH_BODY, *there, "parts-do-not-fit", "disk-low", "storage-fault"),
        openapi_extra=body_of({"application/json": UploadComplete}),
    )
    app.add_api_route(
        f"{one}/cancel",
        cancel_upload,
        methods=["POST"],
        response_model=UploadObject,
        responses=responses(*EVERYWHERE, *there, "foreign-origin"),
    )


async def add_upload(request: Request) -> UploadObject:
    """Begin a file that comes in parts."""
    studio, project = studio_of(request), project_of(request)
    asked, _ = await read_body(request, UploadRequest)
    config = studio.config
    limit = await limit_of(studio, project, config.max_upload_bytes)
    if asked.bytes > limit.bytes:
        raise limit.passed
    keep = None if asked.expires_after is None else asked.expires_after.seconds
    name, purpose = asked.filename, asked.purpose
    made = Upload(
        new_id("upload"), project, 0, 0, name, purpose, asked.bytes, asked.mime_type, keep_seconds=keep
    )
    begun = await on_disk(studio.store.uploads.add, made, config.upload_seconds)
    return UploadObject.of(begun, None)


async def add_part(request: Request, upload_id: str) -> PartObject:
    """Take in some of the bytes of an upload; parts may come at the same time, in any order."""
    studio, project = studio_of(request), project_of(request)
    studio.check_not_draining()
    upload = await _found(request, upload_id)
    _check_open(upload)
    there = await on_disk(studio.store.uploads.parts_of, upload_id)
    # more parts than the file has bytes for are parts that were sent again
    most = 2 * upload.bytes + studio.config.max_part_bytes
    if sum(part.bytes for part in there) >= most or len(there) >= MOST_PARTS:
        raise Refusal("parts-do-not-fit", "the upload has too many parts, or too large ones; begin another")
    limit = await limit_of(studio, project, studio.config.max_part_bytes)
    part_id = new_id("part")
    async with Arrival(studio.blobs, f"parts/{part_id}", studio.config.free_bytes) as arrival:
        await receive(request, arrival, file="data", fields=(), limit=limit)
        await arrival.keep()
        made = Part(part_id, upload_id, 0, arrival.bytes, arrival.blob)
        room = studio.config.project_bytes
        with store_refusals(project_full(room)):
            kept = await on_disk(studio.store.uploads.add_part, made, most_bytes=room)
        if kept is None:
            raise _not_open(await _found(request, upload_id))
        arrival.settle()
    return PartObject(id=kept.id, created_at=kept.created_at, upload_id=upload_id)


async def complete_upload(request: Request, upload_id: str) -> UploadObject:
    """Make the file of an upload; asked again, tell what came of it."""
    studio = studio_of(request)
    await _found(request, upload_id)
    asked, _ = await read_body(request, UploadComplete)
    async with studio.turns.turn(upload_id):
        upload = await _found(request, upload_id)
        if upload.status == "completed":
            return await _shown(request, upload)
        _check_open(upload)
        kept = await _complete(request, upload, asked)
    await on_disk(remove_ended_parts, studio.store, studio.blobs)
    return UploadObject.of(replace(upload, status="completed", file_id=kept.id), kept)


async def _complete(request: Request, upload: Upload, asked: UploadComplete) -> File:
    studio = studio_of(request)
    parts = _in_order(await on_disk(studio.store.uploads.parts_of, upload.id), asked.part_ids)
    count = sum(part.bytes for part in parts)
    if count != upload.bytes:
        message = f"the parts have {count:,} bytes together, and the upload was begun with {upload.bytes:,}"
        raise Refusal("parts-do-not-fit", message, param="part_ids")
    file_id = new_id("file")
    blob = f"files/{file_id}"
    await on_disk(check_disk, studio.blobs, studio.config.free_bytes, count)
    sha256 = await on_disk(_joined, studio.blobs, parts, blob, asked.md5)
    made = File(file_id, upload.project, 0, upload.filename, upload.purpose, count, sha256, blob)
    kept = await on_disk(studio.store.uploads.complete, upload, made)
    if kept is None:
        await on_disk(studio.blobs.remove, blob)
        raise _not_open(await _found(request, upload.id))
    return kept


def _in_order(there: Sequence[Part], part_ids: Sequence[str]) -> list[Part]:
    known = {part.id: part for part in there}
    parts = []
    for place, part_id in enumerate(part_ids):
        if part_id not in known:
            message = f"`part_ids[{place}]` is no part of this upload, or stands there twice"
            raise Refusal("parts-do-not-fit", message, param=f"part_ids[{place}]")
        parts.append(known.pop(part_id))
    return parts


def _joined(blobs: Blobs, parts: Sequence[Part], blob: str, md5: str | None) -> str:
    """Write the parts one after the other; the SHA-256 of them together."""
    sha256, compared = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with blobs.writing(blob) as stream:
        for part in parts:
            with blobs.open(part.blob) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    stream.write(chunk)
                    sha256.update(chunk)
                    compared.update(chunk)
        if md5 is not None and compared.hexdigest() != md5.lower():
            raise Refusal("parts-do-not-fit", "the MD5 of the parts is not `md5`", param="md5")
    return sha256.hexdigest()


async def cancel_upload(request: Request, upload_id: str) -> UploadObject:
    """End an upload without a file, and remove its parts; asked again, the same is told."""
    studio = studio_of(request)
    upload = await _found(request, upload_id)
    if upload.status != "cancelled":
        _check_open(upload)
        async with studio.turns.turn(upload_id):
            ended = await on_disk(studio.store.uploads.cancel, upload_id)
        upload = await _found(request, upload_id)
        if not ended and upload.status != "cancelled":
            raise _not_open(upload)
    await on_disk(remove_ended_parts, studio.store, studio.blobs)
    return await _shown(request, upload)


async def _found(request: Request, upload_id: str) -> Upload:
    found = None
    if is_id("upload", upload_id):
        found = await on_disk(studio_of(request).store.uploads.find, project_of(request), upload_id)
    if found is None:
        raise Refusal("no-such-upload", "there is no upload with this id", param="upload_id")
    return found


async def _shown(request: Request, upload: Upload) -> UploadObject:
    file = None
    if upload.file_id is not None:
        file = await on_disk(studio_of(request).store.files.find, project_of(request), upload.file_id)
    return UploadObject.of(upload, file)


def _check_open(upload: Upload) -> None:
    if upload.status != "pending":
        raise _not_open(upload)


def _not_open(upload: Upload) -> Refusal:
    return Refusal("wrong-state", f"the upload takes no parts any more: it is {upload.status}")
