"""Context: what the routes of one app share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, cast

from starlette.requests import Request

from tunesmith.api.batches import Batches
from tunesmith.api.gate import Gate
from tunesmith.api.metrics import Metrics
from tunesmith.api.models import Models
from tunesmith.api.refusal import draining
from tunesmith.api.settings import Settings
from tunesmith.api.shelf import Shelf
from tunesmith.model.encode import Encoded
from tunesmith.predict import Prediction

__all__ = ["Answers", "Context", "context_of"]

_LOOK_SECONDS = 0.02


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
    """The models, the guards and the state of one app."""

    settings: Settings
    models: Models
    shelf: Shelf
    batches: Batches
    waiting: Gate
    uploads: Gate
    streams: Gate
    explaining: Gate
    metrics: Metrics
    draining: bool = False
    peers_ready: Callable[[], bool] = lambda: True
    """Whether the other processes on the same port take requests."""
    may_open: Callable[[], bool] = lambda: True
    """Whether connections are accepted; until then they wait for another process on the same port."""

    @property
    def ready_here(self) -> bool:
        """Whether this process takes requests."""
        return self.models.warm and not self.draining

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.ready_here and self.peers_ready()

    def check_open(self) -> None:
        """Raise Refusal where a new request would only be read in vain."""
        self.check_not_draining()
        self.waiting.check()

    def check_not_draining(self) -> None:
        """Raise Refusal `draining` where the server takes nothing new."""
        if self.draining:
            raise draining()

    def drain(self) -> None:
        """From now on nothing new is taken; what has begun goes on."""
        self.draining = True
        self.batches.stop()
        self.metrics.ready.set(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the models at work while the block runs; ready once each has answered for the first time."""
        async with self.models.running(self._tell_ready), self.batches.running():
            while not self.may_open():
                await asyncio.sleep(_LOOK_SECONDS)
            yield

    def _tell_ready(self) -> None:
        self.metrics.ready.set(float(self.ready))


def context_of(request: Request) -> Context:
    """The context of the app that the request came to."""
    return cast(Context, request.app.state.context)
