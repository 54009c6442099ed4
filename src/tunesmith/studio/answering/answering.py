"""Answering: what the routes that answer share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tunesmith.api.gate import Gate
from tunesmith.api.settings import Settings
from tunesmith.api.turns import Turns
from tunesmith.studio.answering.loading import Loader
from tunesmith.studio.answering.memory import Load, Memory
from tunesmith.studio.blobs import Blobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.types import Model

__all__ = ["Answering"]


class Answering:
    """The models that answer, and how many requests they may have."""

    def __init__(self, blobs: Blobs, config: StudioConfig, settings: Settings) -> None:
        self.places = Gate(settings.max_waiting)
        self.memory = Memory(config.models_in_memory)
        self.ping_seconds = 10.0
        """How long a stream says nothing, before it says that it lives"""
        self._turns = Turns(settings.models_at_once)
        self._loader = Loader(blobs, config, settings, self._turns)

    def base(self, name: str) -> tuple[str, Load]:
        """The key of a base in memory, and what loads it."""
        return f"base {name}", self._loader.base(name)

    def model(self, model: Model) -> tuple[str, Load]:
        """The key of a model in memory, and what loads it."""
        return model.blob, self._loader.model(model)

    def forget(self, model: Model) -> None:
        """Answer no new request with a model that was removed."""
        self.memory.forget(model.blob)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the models end behind the block."""
        try:
            yield
        finally:
            await self.memory.close()
            self._turns.close()
