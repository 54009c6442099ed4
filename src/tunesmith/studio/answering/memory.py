"""Memory: the models that are held ready to answer, and which of them leaves for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from tunesmith.studio.answering.answerer import Answerer

__all__ = ["Load", "Memory"]

Load = Callable[[], Answerer]
"""What loads a model; it takes its time, and is called in a thread of its own."""


class _Place:
    """One model, from when it is first asked for until it has left."""

    def __init__(self) -> None:
        self.answers: Answerer | None = None
        self.loading: asyncio.Task[Answerer] | None = None
        self.leaving: asyncio.Task[None] | None = None
        self.unused = asyncio.Event()
        self._uses = 0

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it in memory while the block runs; who waits for it counts, too."""
        self._uses += 1
        self.unused.clear()
        try:
            yield
        finally:
            self._uses -= 1
            if not self._uses:
                self.unused.set()


class Memory:
    """At most `most` models, loaded one at a time, each once whoever asks meanwhile.

    Where another is wanted, the one that was used longest ago takes no more requests, and leaves when those
    that it has are answered. Used from the event loop only.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[str, _Place] = {}
        """The one used last at the end"""
        self._resident: list[_Place] = []
        """What takes room, in the order of loading: that which leaves, too"""
        self._one_at_a_time = asyncio.Lock()

    @property
    def held(self) -> list[str]:
        """The keys of the models that are ready, the one used last at the end."""
        return [key for key, place in self._places.items() if place.answers is not None]

    @asynccontextmanager
    async def using(self, key: str, load: Load) -> AsyncIterator[Answerer]:
        """The model of this key, which stays while the block runs; raises what `load` raises."""
        place = self._places.pop(key, None) or self._begin(key, load)
        self._places[key] = place
        assert place.loading is not None
        with place.in_use():
            # others wait for the same task
            yield await asyncio.shield(place.loading)

    def forget(self, key: str) -> None:
        """Answer no new request with a model; it leaves once nobody uses it."""
        place = self._places.pop(key, None)
        if place is not None and place in self._resident:
            self._leave(place)

    async def close(self) -> None:
        """End all models, used or not."""
        waiting = [place.loading for place in self._places.values() if place.loading and not place.answers]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for place in list(self._resident):
            if place.leaving is not None:
                place.leaving.cancel()
            await self._close(place)
        self._places.clear()

    def _begin(self, key: str, load: Load) -> _Place:
        place = _Place()
        place.loading = asyncio.create_task(self._load(key, place, load))
        # who asked may have gone when it fails
        place.loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return place

    async def _load(self, key: str, place: _Place, load: Load) -> Answerer:
        try:
            async with self._one_at_a_time:
                await self._make_room()
                answers = await asyncio.to_thread(load)
                await answers.start()
                place.answers = answers
                self._resident.append(place)
        except BaseException:
            if self._places.get(key) is place:
                del self._places[key]
            raise
        if self._places.get(key) is not place:
            # it was forgotten meanwhile
            self._leave(place)
        return answers

    async def _make_room(self) -> None:
        while len(self._resident) >= self._most:
            known = (place for place in self._places.values() if place in self._resident)
            await asyncio.shield(self._leave(next(known, self._resident[0])))

    def _leave(self, place: _Place) -> asyncio.Task[None]:
        self._places = {key: other for key, other in self._places.items() if other is not place}
        if place.leaving is None:
            place.leaving = asyncio.create_task(self._leaves(place))
        return place.leaving

    async def _leaves(self, place: _Place) -> None:
        await place.unused.wait()
        await self._close(place)

    async def _close(self, place: _Place) -> None:
        assert place.answers is not None
        await place.answers.close()
        if place in self._resident:
            self._resident.remove(place)
