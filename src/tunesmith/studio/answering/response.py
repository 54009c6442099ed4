"""The answer to one request: in one piece, or as server-sent events while it is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tunesmith.api.connected import disconnected, send_in_time, while_connected
from tunesmith.api.exchange import Exchange, log_fault
from tunesmith.api.refusal import Refusal, draining, server_fault
from tunesmith.scribe.piece import Piece
from tunesmith.scribe.scribe import Closed
from tunesmith.scribe.stream import Stream
from tunesmith.studio.answering.answerer import Answerer
from tunesmith.studio.answering.limits import in_time
from tunesmith.studio.answering.memory import Load
from tunesmith.studio.answering.question import Question
from tunesmith.studio.answering.told import Form, Said, Usage, head
from tunesmith.studio.context import Studio

__all__ = ["AnswerResponse", "Asked"]

_DONE = "[DONE]"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of which model, and how it is told."""

    question: Question
    form: Form
    key: str
    """Which model it is, for `Memory`"""
    load: Load
    seconds: float
    """How long the answer may take"""


class AnswerResponse(Response):
    """Answers `asked`; the model stays in memory meanwhile, and a caller who goes away ends the answer.

    Until the first byte whatever goes wrong is an answer of its own; after that it is an error frame in the
    stream, which then ends without `[DONE]`.
    """

    media_type = "text/event-stream"

    def __init__(self, studio: Studio, exchange: Exchange, asked: Asked) -> None:
        self.status_code = 200
        self.background = None
        # a proxy must not hold back what is answered
        self.init_headers({"X-Accel-Buffering": "no"})
        self._studio, self._exchange, self._asked = studio, exchange, asked
        self._question, self._form = asked.question, asked.form
        self._head: Json = {}
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises Refusal, or ClientDisconnect where the caller goes away."""
        with self._studio.answering.places.permit(), self._exchange.timed("answer"):
            await while_connected(disconnected(receive), self._answer(scope, receive, send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with in_time(self._studio, self._asked.seconds):
                await self._answer_with_model(scope, receive, send)
        except ClientDisconnect:
            raise
        except Exception as error:
            refusal = self._refusal(error)
            if not self._begun:
                raise refusal from error
            self._exchange.code = refusal.code
            await self._frame(refusal.envelope(), send)
        if self._begun:
            await send({"type": "http.response.body", "body": b""})

    async def _answer_with_model(self, scope: Scope, receive: Receive, send: Send) -> None:
        memory = self._studio.answering.memory
        async with memory.using(self._asked.key, self._asked.load) as answerer:
            streams = await self._streams(answerer)
            try:
                if self._question.stream:
                    await self._tell(streams, send)
                else:
                    told = await self._whole(streams)
                    await JSONResponse(told)(scope, receive, send)
            finally:
                self._exchange.tokens = sum(stream.prompt_tokens + stream.tokens for stream in streams)
                for stream in streams:
                    stream.cancel()

    async def _streams(self, answerer: Answerer) -> list[Stream]:
        self._head = head(self._form, self._question.model, answerer.fingerprint)
        return await answerer.begin(self._question)

    async def _whole(self, streams: Sequence[Stream]) -> Json:
        said = [Said() for _ in range(len(streams) * self._question.choices)]
        pieces = _Pieces(streams, self._question.choices)
        while (found := await pieces.next()) is not None:
            said[found[0]].add(found[1])
        choices = [self._form.choice(index, each) for index, each in enumerate(said)]
        told = {"object": self._form.whole, **self._head, "choices": choices}
        return {**told, "usage": _usage(streams).told()}

    async def _tell(self, streams: Sequence[Stream], send: Send) -> None:
        self._begun = True
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for index in range(len(streams) * self._question.choices):
            for choice in self._form.opening(index):
                await self._frame(self._chunk([choice]), send)
        pieces = _Pieces(streams, self._question.choices)
        while (found := await self._next(pieces, send)) is not None:
            for choice in self._form.parts(*found):
                await self._frame(self._chunk([choice]), send)
        if self._question.include_usage:
            await self._frame({**self._chunk([]), "usage": _usage(streams).told()}, send)
        await self._send(f"data: {_DONE}\n\n", send)

    async def _next(self, pieces: _Pieces, send: Send) -> tuple[int, Piece] | None:
        """The next piece, None behind the last; whoever waits hears now and then that it comes."""
        while True:
            try:
                async with asyncio.timeout(self._studio.answering.ping_seconds):
                    return await pieces.next()
            except TimeoutError:
                await self._send(": ping\n\n", send)

    def _chunk(self, choices: Sequence[Json]) -> Json:
        usage = {"usage": None} if self._question.include_usage else {}
        return {"object": self._form.chunk, **self._head, "choices": list(choices), **usage}

    async def _frame(self, told: Json, send: Send) -> None:
        await self._send(f"data: {json.dumps(told, ensure_ascii=False, separators=(',', ':'))}\n\n", send)

    async def _send(self, text: str, send: Send) -> None:
        message = {"type": "http.response.body", "body": text.encode(), "more_body": True}
        await send_in_time(send, message, self._studio.settings.body_timeout_seconds)

    def _refusal(self, error: Exception) -> Refusal:
        match error:
            case Refusal():
                return error
            case Closed():
                return draining()
        # its words might be those of a prompt
        log_fault(self._exchange.request_id, error)
        return server_fault(self._exchange.request_id)


class _Pieces:
    """What several streams give, one stream after the other; each is written meanwhile."""

    def __init__(self, streams: Sequence[Stream], choices: int) -> None:
        self._streams, self._choices = streams, choices
        self._at = 0

    async def next(self) -> tuple[int, Piece] | None:
        """The choice of the whole request and a piece of it; may be cancelled, and nothing is lost."""
        while self._at < len(self._streams):
            try:
                piece = await anext(self._streams[self._at])
            except StopAsyncIteration:
                self._at += 1
            else:
                return self._at * self._choices + piece.index, piece
        return None


def _usage(streams: Sequence[Stream]) -> Usage:
    return Usage(sum(stream.prompt_tokens for stream in streams), sum(stream.tokens for stream in streams))
