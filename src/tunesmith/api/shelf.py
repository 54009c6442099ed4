"""Shelf: models that come and go while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tunesmith.api.exchange import log_fault
from tunesmith.api.fitting import check_fits, free_memory, too_large
from tunesmith.api.gate import Gate
from tunesmith.api.models import Models
from tunesmith.api.names import NAME_RULE, is_name
from tunesmith.api.refusal import Refusal
from tunesmith.api.root import place_of, weights_bytes
from tunesmith.api.schemas import ModelFacts
from tunesmith.api.served import Loaded, Served
from tunesmith.errors import UserError
from tunesmith.training.memory import is_out_of_memory

__all__ = ["BytesOf", "Load", "Shelf"]

Load = Callable[[Path, str], Loaded]
BytesOf = Callable[[Path], int]

_MOST_WAITING = 8


class Shelf:
    """Puts models from below `root` among those of a server, one at a time, and takes them away.

    Whatever keeps a model from answering is a Refusal, and the server goes on as it was. Without a root or a
    way to `load`, all is refused. `bytes_of` says what a place will take in memory, or raises UserError.
    """

    def __init__(
        self,
        models: Models,
        root: Path | None,
        load: Load | None,
        *,
        bytes_of: BytesOf = weights_bytes,
        free_bytes: Callable[[], int] = free_memory,
    ) -> None:
        self._models = models
        self._root = root
        self._load = load
        self._bytes_of = bytes_of
        self._free_bytes = free_bytes
        self._waiting = Gate(_MOST_WAITING)
        self._one_at_a_time = asyncio.Lock()

    async def add(self, name: str, path: str) -> ModelFacts:
        """Serve the model at `path` under a new name."""
        self._check_on()
        if not is_name(name):
            raise Refusal("bad-model-name", f"`name` cannot be used: it has {NAME_RULE}", param="name")
        with self._waiting.permit():
            async with self._one_at_a_time:
                self._models.refuse_taken(name)
                served = await self._warm(name, path)
                self._models.put(served)
        return served.facts

    async def replace(self, name: str, path: str) -> ModelFacts:
        """Serve the model at `path` under a name there is; what the old one has begun, it still answers."""
        self._check_on()
        self._models.find(name)
        with self._waiting.permit():
            async with self._one_at_a_time:
                self._models.find(name)
                served = await self._warm(name, path)
                self._models.put(served)
        return served.facts

    async def remove(self, name: str) -> None:
        """Take a model away, and come back once it has answered what it had begun."""
        self._check_on()
        async with self._one_at_a_time:
            leaving = self._models.take(name)
        # it goes on where the caller goes away
        await asyncio.shield(leaving)

    def _check_on(self) -> None:
        if self._root is None or self._load is None:
            message = "models come and go only where the server was started with --model-root"
            raise Refusal("loading-off", message)

    async def _warm(self, name: str, path: str) -> Served:
        """A model that has answered for the first time, and is not yet among those of the server."""
        served = self._models.made_of(await asyncio.to_thread(self._loaded, name, path))
        try:
            await served.warm_up()
        except BaseException as error:
            await served.stop()
            if isinstance(error, Exception):
                log_fault("warm-up", error)
                raise _bad("it cannot answer; the log of the server has more") from None
            raise
        return served

    def _loaded(self, name: str, path: str) -> Loaded:
        assert self._root is not None, "loading is on"
        assert self._load is not None, "loading is on"
        place = place_of(path, self._root)
        try:
            check_fits(self._bytes_of(place), self._free_bytes(), "path")
            return self._load(place, name)
        except Refusal:
            raise
        except UserError as error:
            found = "; ".join(f"{problem.what} ({problem.code})" for problem in error.problems)
            raise _bad(found.replace(str(place), "the model")) from None
        except Exception as error:  # noqa: BLE001 -- a damaged file may raise anything
            if is_out_of_memory(error):
                raise too_large("the memory ran out while it was loaded", "path") from None
            log_fault("load", error)
            raise _bad("something in it is damaged; the log of the server has more") from None


def _bad(why: str) -> Refusal:
    return Refusal("bad-model", f"the model is not loaded: {why}", param="path")
