"""Models: all that one server answers with, by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from tunesmith.api.batcher import Observe
from tunesmith.api.gate import Gate
from tunesmith.api.limits import shown_name
from tunesmith.api.refusal import Refusal
from tunesmith.api.schemas import ModelFacts
from tunesmith.api.served import Loaded, Served
from tunesmith.api.settings import Settings
from tunesmith.api.turns import Turns

__all__ = ["Models"]

_MOST_SHOWN = 20


class Models:
    """The models of a server, at least one; the first answers those who name none."""

    def __init__(
        self,
        loaded: Sequence[Loaded],
        settings: Settings,
        waiting: Gate,
        observe: Observe = lambda _texts, _tokens, _seconds: None,
    ) -> None:
        assert loaded, "a server needs a model"
        self._settings = settings
        self._waiting = waiting
        self._observe = observe
        self._turns = Turns(settings.models_at_once)
        made = [self.made_of(each) for each in loaded]
        self._served = {served.name: served for served in made}
        self._leaving: dict[asyncio.Task[None], Served] = {}
        assert len(self._served) == len(made), "a name is given once"

    def made_of(self, loaded: Loaded) -> Served:
        """A model that takes turns with those of this server, and is not yet among them."""
        return Served(loaded, self._settings, self._turns, self._waiting, self._observe)

    @property
    def default(self) -> Served:
        """The one that answers those who name none."""
        return next(iter(self._served.values()))

    @property
    def facts(self) -> list[ModelFacts]:
        """What is told of each, the default's first."""
        return [served.facts for served in self._served.values()]

    @property
    def warm(self) -> bool:
        """Whether all have answered for the first time."""
        return all(served.warm for served in self._served.values())

    def find(self, name: str | None) -> Served:
        """The model of that name, the default where there is none; raise Refusal `no-such-model`."""
        if name is None:
            return self.default
        if name not in self._served:
            message = f"there is no model `{shown_name(name)}`; there is {self._listed()}"
            raise Refusal("no-such-model", message, param="model")
        return self._served[name]

    def refuse_taken(self, name: str) -> None:
        """Raise Refusal `model-taken` where there is a model of that name."""
        if name in self._served:
            message = f"there is a model `{name}`; replace it with PUT, or choose another name"
            raise Refusal("model-taken", message, param="name")

    def put(self, served: Served) -> None:
        """Answer with a model that is warm; one of the same name ends once nobody uses it."""
        old = self._served.get(served.name)
        self._served[served.name] = served
        served.start()
        if old is not None:
            self._leave(old)

    def take(self, name: str) -> asyncio.Task[None]:
        """Answer no longer with a model; the task ends when it does. Raises Refusal `last-model`."""
        served = self.find(name)
        if len(self._served) == 1:
            raise Refusal("last-model", f"`{name}` is the only model left; load another before")
        del self._served[name]
        return self._leave(served)

    def _leave(self, served: Served) -> asyncio.Task[None]:
        task = asyncio.create_task(served.drain())
        self._leaving[task] = served
        task.add_done_callback(self._leaving.pop)
        return task

    @asynccontextmanager
    async def running(self, on_warm: Callable[[], None]) -> AsyncIterator[None]:
        """Keep all at work while the block runs; `on_warm` hears of each that has answered first."""
        self._start_all(on_warm)
        try:
            yield
        finally:
            for task in self._leaving:
                task.cancel()
            for served in (*self._served.values(), *self._leaving.values()):
                await served.stop()
            self._turns.close()

    def _start_all(self, on_warm: Callable[[], None]) -> None:
        # in a function of its own: nobody holds the last one afterwards, which may go
        for served in self._served.values():
            served.start(on_warm)

    def _listed(self) -> str:
        names = [f"`{shown_name(name)}`" for name in self._served]
        more = ", …" if len(names) > _MOST_SHOWN else ""
        return ", ".join(names[:_MOST_SHOWN]) + more
