"""Context: what the routes of one app share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, cast

from starlette.requests import Request

from tunesmith.api.batcher import Batcher
from tunesmith.api.exchange import Exchange, log_fault
from tunesmith.api.gate import Gate
from tunesmith.api.metrics import Metrics
from tunesmith.api.refusal import Refusal
from tunesmith.api.schemas import ClassifyRequest, ModelFacts
from tunesmith.api.settings import Settings
from tunesmith.model.encode import Encoded
from tunesmith.predict import Prediction

__all__ = ["Answers", "Context", "context_of", "exchange_of"]


class Answers(Protocol):
    """What is served: a `Predictor`, on any engine."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label names in label order."""

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text are read."""

    def encode(self, texts: Sequence[str], /) -> Encoded:
        """What the model will read of each text."""

    def answer(self, encoded: Encoded, /) -> list[Prediction]:
        """One Prediction a text, in order."""


@dataclass(slots=True)
class Context:
    """The model, the guards and the state of one app."""

    settings: Settings
    facts: ModelFacts
    request_model: type[ClassifyRequest]
    batcher: Batcher
    waiting: Gate
    uploads: Gate
    metrics: Metrics
    warm: bool = False
    draining: bool = False
    peers_ready: Callable[[], bool] = lambda: True
    """Whether the other processes on the same port take requests."""

    @property
    def ready_here(self) -> bool:
        """Whether this process takes requests."""
        return self.warm and not self.draining

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.ready_here and self.peers_ready()

    def check_open(self) -> None:
        """Raise Refusal where a new request would only be read in vain."""
        if self.draining:
            message = "the server is shutting down; send the request to another, or again in a moment"
            raise Refusal("draining", message, headers={"Retry-After": "1", "Connection": "close"})
        self.waiting.check()

    def drain(self) -> None:
        """From now on nothing new is taken; what has begun goes on."""
        self.draining = True
        self.metrics.ready.set(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the model at work while the block runs; ready once it has answered for the first time."""
        work = asyncio.create_task(self._work())
        try:
            yield
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            self.batcher.close()

    async def _work(self) -> None:
        try:
            await self.batcher.warm_up()
            self.warm = True
            self.metrics.ready.set(float(self.ready))
        except Exception as error:  # noqa: BLE001 -- it stays unready, and the log says why
            log_fault("warm-up", error)
        await self.batcher.run()


def context_of(request: Request) -> Context:
    """The context of the app that the request came to."""
    return cast(Context, request.app.state.context)


def exchange_of(request: Request) -> Exchange:
    """The request's entry in the log."""
    return cast(Exchange, request.state.exchange)
