"""Which models are held: each is loaded once, and none leaves while it is used."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.waiting import until_then
from tunesmith.scribe.stream import Stream
from tunesmith.studio.answering.answerer import Answerer
from tunesmith.studio.answering.memory import Memory
from tunesmith.studio.answering.question import Question


class Model:
    """Counts how often it was loaded and closed."""

    fingerprint = "fp_none"

    def __init__(self) -> None:
        self.loads, self.starts, self.closes = 0, 0, 0
        self.may_load = threading.Event()
        self.may_load.set()
        self.fault: Exception | None = None

    def load(self) -> Answerer:
        assert self.may_load.wait(20)
        self.loads += 1
        if self.fault:
            raise self.fault
        return self

    async def start(self) -> None:
        self.starts += 1

    async def begin(self, question: Question) -> list[Stream]:
        raise NotImplementedError

    async def close(self) -> None:
        self.closes += 1


async def use(memory: Memory, name: str, model: Model) -> None:
    async with memory.using(name, model.load) as found:
        assert found is model


def test_what_many_ask_for_at_once_is_loaded_once() -> None:
    async def ask() -> None:
        memory, model = Memory(1), Model()
        await asyncio.gather(*(use(memory, "a", model) for _ in range(20)))
        await use(memory, "a", model)
        assert (model.loads, model.starts, model.closes) == (1, 1, 0)
        await memory.close()
        assert model.closes == 1

    asyncio.run(ask())


def test_the_one_that_was_used_longest_ago_leaves() -> None:
    async def ask() -> None:
        memory, models = Memory(2), {name: Model() for name in "abc"}
        for name in "abac":
            await use(memory, name, models[name])
        assert memory.held == ["a", "c"]
        assert [models[name].closes for name in "abc"] == [0, 1, 0]
        await memory.close()

    asyncio.run(ask())


def test_one_that_is_used_leaves_when_it_is_not_and_all_get_their_turns() -> None:
    async def ask() -> None:
        memory, a, b = Memory(1), Model(), Model()
        async with memory.using("a", a.load):
            other = asyncio.create_task(use(memory, "b", b))
            await until_then(lambda: not memory.held)
            # it takes no more requests: they wait behind the other
            again = asyncio.create_task(use(memory, "a", a))
            await asyncio.sleep(0)
            assert (a.closes, b.loads) == (0, 0)
        await asyncio.gather(other, again)
        assert (a.loads, a.closes, b.loads, b.closes) == (2, 1, 1, 1)
        pairs = [("a", a), ("b", b)] * 9
        await asyncio.gather(*(use(memory, name, model) for name, model in pairs))
        await memory.close()
        assert (a.closes, b.closes) == (a.loads, b.loads)

    asyncio.run(ask())


def test_what_fails_is_told_to_all_and_tried_again() -> None:
    async def ask() -> None:
        memory, model = Memory(1), Model()
        model.fault = ValueError("damaged")
        found = await asyncio.gather(*(use(memory, "a", model) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in found] == [ValueError] * 3
        model.fault = None
        await use(memory, "a", model)
        assert model.loads == 2
        await memory.close()

    asyncio.run(ask())


@pytest.mark.parametrize("loaded", [True, False])
def test_one_that_is_forgotten_takes_no_more_and_leaves(loaded: bool) -> None:
    async def ask() -> None:
        memory, model = Memory(2), Model()
        if not loaded:
            model.may_load.clear()
        using = asyncio.create_task(use(memory, "a", model))
        await until_then(lambda: memory.held == ["a"] if loaded else bool(memory._places))
        memory.forget("a")
        model.may_load.set()
        await using
        await until_then(lambda: model.closes == 1)
        await use(memory, "a", model)
        assert model.loads == 2
        await memory.close()

    asyncio.run(ask())


def test_who_gives_up_ends_nobody_else_s_loading() -> None:
    async def ask() -> None:
        memory, model = Memory(1), Model()
        model.may_load.clear()
        first, second = (asyncio.create_task(use(memory, "a", model)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        model.may_load.set()
        await second
        assert model.loads == 1
        await memory.close()

    asyncio.run(ask())
