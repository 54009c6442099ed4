"""Lines of JSON in, lines of JSON out: a file of any length through one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tunesmith.api.connected import Upload, send_in_time, while_connected
from tunesmith.api.context import Context
from tunesmith.api.exchange import Exchange, log_fault
from tunesmith.api.limits import parse_object
from tunesmith.api.lines import Line, Lines
from tunesmith.api.refusal import Refusal, server_fault
from tunesmith.api.request import line_model, read_values
from tunesmith.api.results import result_of
from tunesmith.api.schemas import ClassifyLine, LineFault, LineResult
from tunesmith.api.served import Served
from tunesmith.predict import Prediction, in_chunks

__all__ = ["NDJSON", "LineStream"]

NDJSON = "application/x-ndjson"

_BATCH_LINES = 64
_TICK_SECONDS = 0.25
_Asked = ClassifyLine | LineFault


class LineStream(Response):
    """The answer to a request whose body is lines.

    What has come is answered without waiting for more, and the body is read no faster than its answers are
    taken. A line that cannot be answered is told in its place, and the next one is read.
    """

    media_type = NDJSON

    def __init__(self, served: Served, context: Context, exchange: Exchange) -> None:
        self.status_code = 200
        self.background = None
        # a proxy must not hold back what is answered
        self.init_headers({"X-Accel-Buffering": "no"})
        self._served = served
        self._context = context
        self._exchange = exchange
        self._line_model = line_model(len(served.facts.labels), context.settings)
        self._lines = Lines(context.settings.max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer; raises ClientDisconnect where the caller goes away, or takes no answers any more."""
        upload = Upload(receive)
        with self._context.streams.permit(), self._served.in_use():
            await while_connected(upload.pump(), self._answer(upload, send))

    async def _answer(self, upload: Upload, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for lines in self._batches(upload):
                await self._send(await self._answers(lines), send)
        except Refusal as refusal:
            # too late for another status: it is told where the next answer would stand
            self._exchange.code = refusal.code
            await self._send([_fault(self._lines.next_number, refusal)], send)
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, answers: Sequence[LineResult | LineFault], send: Send) -> None:
        body = "".join(answer.model_dump_json() + "\n" for answer in answers).encode()
        message = {"type": "http.response.body", "body": body, "more_body": True}
        await send_in_time(send, message, self._context.settings.body_timeout_seconds)

    async def _batches(self, upload: Upload) -> AsyncIterator[list[Line]]:
        """All lines that have come, a batch at a time."""
        while (chunk := await self._chunk(upload)) is not None:
            for lines in in_chunks(list(self._lines.feed(chunk)), _BATCH_LINES):
                yield lines
        if last := list(self._lines.end()):
            yield last

    async def _chunk(self, upload: Upload) -> bytes | None:
        seconds = self._context.settings.body_timeout_seconds
        for _ in range(max(1, round(seconds / _TICK_SECONDS))):
            self._context.check_not_draining()
            try:
                async with asyncio.timeout(min(seconds, _TICK_SECONDS)):
                    return await upload.chunk()
            except TimeoutError:
                continue
        raise Refusal("slow-body", f"the next line did not arrive within {seconds:g} s")

    async def _answers(self, lines: Sequence[Line]) -> list[LineResult | LineFault]:
        asked = [self._asked(line) for line in lines]
        texts = [each.input for each in asked if isinstance(each, ClassifyLine)]
        predictions = iter(await self._predict(texts))
        return [
            each if isinstance(each, LineFault) else self._result(each, line.number, next(predictions))
            for each, line in zip(asked, lines, strict=True)
        ]

    def _asked(self, line: Line) -> _Asked:
        try:
            if line.body is None:
                most = self._context.settings.max_body_bytes
                raise Refusal("body-too-large", f"the line is longer than {most:,} bytes")
            asked = read_values(parse_object(line.body), self._line_model)
            self._exchange.charge(1)
            return asked
        except Refusal as refusal:
            return _fault(line.number, refusal)

    def _result(
        self, asked: ClassifyLine, number: int, prediction: Prediction | None
    ) -> LineResult | LineFault:
        if prediction is None:
            return _fault(number, server_fault(self._exchange.request_id), asked.id)
        self._exchange.texts += 1
        self._exchange.characters += len(asked.input)
        self._exchange.tokens += prediction.tokens
        result = result_of(prediction, asked.top_k, self._context.settings.max_top_k)
        return LineResult(id=asked.id, **dict(result))

    async def _predict(self, texts: Sequence[str]) -> Sequence[Prediction | None]:
        """A Prediction a text, None where the model cannot answer it."""
        if not texts:
            return []
        try:
            return await self._predict_in_time(texts)
        except Exception as error:  # noqa: BLE001 -- one text's fault is not another's
            if len(texts) > 1:
                return [(await self._predict([text]))[0] for text in texts]
            log_fault(self._exchange.request_id, error)
            return [None]

    async def _predict_in_time(self, texts: Sequence[str]) -> list[Prediction]:
        while True:
            try:
                return await self._served.batcher.predict(texts)
            except Refusal:
                # others wait: whoever has begun does so, too
                await asyncio.sleep(_TICK_SECONDS)


def _fault(number: int, refusal: Refusal, id_: str | int | None = None) -> LineFault:
    return LineFault(id=id_, line=number, error=refusal.envelope()["error"])
