"""Models: all that one server answers with, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

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

    def __init__(self, loaded: Sequence[Loaded], settings: Settings, waiting: Gate) -> None:
        assert loaded, "a server needs a model"
        self._settings = settings
        self._waiting = waiting
        self._turns = Turns(settings.models_at_once)
        made = [self.made_of(each) for each in loaded]
        self._served = {served.name: served for served in made}
        assert len(self._served) == len(made), "a name is given once"

    def made_of(self, loaded: Loaded) -> Served:
        """A model that takes turns with those of this server, and is not yet among them."""
        return Served(loaded, self._settings, self._turns, self._waiting)

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

    def asked_for(self, values: Mapping[str, object]) -> Served:
        """The model that a request's values name; what is no name is left to their validation."""
        name = values.get("model")
        return self.find(name if isinstance(name, str) else None)

    @asynccontextmanager
    async def running(self, on_warm: Callable[[], None]) -> AsyncIterator[None]:
        """Keep all at work while the block runs; `on_warm` hears of each that has answered first."""
        for served in self._served.values():
            served.start(on_warm)
        try:
            yield
        finally:
            for served in self._served.values():
                await served.stop()
            self._turns.close()

    def _listed(self) -> str:
        names = [f"`{shown_name(name)}`" for name in self._served]
        more = ", …" if len(names) > _MOST_SHOWN else ""
        return ", ".join(names[:_MOST_SHOWN]) + more
