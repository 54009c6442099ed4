"""What a job tells, as server-sent events, until the job has ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from tunesmith.api.connected import send_in_time
from tunesmith.api.refusal import Refusal, draining
from tunesmith.studio.context import Studio, on_disk
from tunesmith.studio.told import EventObject
from tunesmith.studio.types import ENDED, Job

__all__ = ["EventStream"]

_LOOK_SECONDS = 0.5
_PING_SECONDS = 15.0


class EventStream(StreamingResponse):
    """All events of a job from the first, or from what follows `Last-Event-ID`, and those to come.

    It ends with `[DONE]` when the job has ended, and with an error where the server ends first.
    """

    def __init__(self, studio: Studio, job: Job, since: int) -> None:
        # a proxy must not hold back what is told
        headers = {"X-Accel-Buffering": "no"}
        super().__init__(_frames(studio, job, since), media_type="text/event-stream", headers=headers)
        self._studio = studio

    @classmethod
    async def of(cls, request: Request, studio: Studio, job: Job) -> EventStream:
        """The stream that a request asks for; raises Refusal."""
        studio.check_not_draining()
        last = request.headers.get("last-event-id")
        since = 0 if last is None else await on_disk(studio.store.jobs.number_of, job.id, last)
        if since is None:
            message = "`Last-Event-ID` must be the id of an event of this job"
            raise Refusal("bad-field", message, param="Last-Event-ID")
        return cls(studio, job, since)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises Refusal `busy` where too many are answered already."""
        seconds = self._studio.settings.body_timeout_seconds

        async def send_soon(message: Message) -> None:
            await send_in_time(send, message, seconds)

        with self._studio.streams.permit():
            await super().__call__(scope, receive, send_soon)


async def _frames(studio: Studio, job: Job, since: int) -> AsyncIterator[str]:
    quiet = 0.0
    while True:
        # in this order: what is told when a job ends is there when it has ended
        now = await on_disk(studio.store.jobs.find, job.project, job.id)
        events, since = await on_disk(studio.store.jobs.events_since, job.id, since)
        for event in events:
            yield f"id: {event.id}\ndata: {EventObject.of(event).model_dump_json()}\n\n"
        if now is None or now.status in ENDED:
            yield "data: [DONE]\n\n"
            return
        quiet = 0.0 if events else quiet + _LOOK_SECONDS
        if quiet >= _PING_SECONDS:
            quiet = 0.0
            yield ": ping\n\n"
        if await _ends(studio):
            yield f"data: {json.dumps(draining().envelope())}\n\n"
            return


async def _ends(studio: Studio) -> bool:
    """Wait for a while; whether the server ends meanwhile."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            await studio.ends.wait()
    except TimeoutError:
        return False
    return True
