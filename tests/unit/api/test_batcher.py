"""Requests that wait together are answered together, in turns, and apart where one fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.api.conftest import FakePredictor
from tunesmith.api.batcher import Batcher, Observe
from tunesmith.api.gate import Gate
from tunesmith.api.refusal import Refusal
from tunesmith.predict import Prediction

MANY = [f"sports {number}" for number in range(6)]
"""Texts of two tokens"""


@asynccontextmanager
async def running(
    predictor: FakePredictor,
    *,
    waiting: int = 100,
    size: int = 4,
    wait: float = 0.002,
    observe: Observe = lambda _texts, _tokens, _seconds: None,
) -> AsyncIterator[Batcher]:
    limits: Any = {"batch_tokens": size, "max_wait_seconds": wait}
    batcher = Batcher(predictor, Gate(waiting), observe=observe, **limits)
    work = asyncio.create_task(batcher.run())
    yield batcher
    work.cancel()
    batcher.close()


def targets(predictions: Sequence[Prediction]) -> list[str]:
    return [prediction.labels[0] for prediction in predictions]


async def begin(batcher: Batcher, *texts: str) -> asyncio.Task[list[Prediction]]:
    tokenized = asyncio.Event()
    task = asyncio.create_task(batcher.predict(texts, lambda _stage, _seconds: tokenized.set()))
    done = asyncio.create_task(tokenized.wait())
    await asyncio.wait({task, done}, return_when=asyncio.FIRST_COMPLETED)
    return task


def test_what_waits_is_answered_in_one_batch(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        async with running(predictor) as batcher:
            predictor.go_on.clear()
            first = await begin(batcher, "music")
            await asyncio.sleep(0.05)
            others = [await begin(batcher, "sports"), await begin(batcher, "travel", "weather")]
            predictor.go_on.set()
            assert targets(await first) == ["music"]
            assert [targets(await other) for other in others] == [["sports"], ["travel", "weather"]]
        assert predictor.batches == [["music"], ["sports", "travel", "weather"]]

    asyncio.run(scenario())


def test_a_long_request_takes_turns_with_a_short_one(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        async with running(predictor) as batcher:
            predictor.go_on.clear()
            long = await begin(batcher, *MANY)
            await asyncio.sleep(0.05)
            short = await begin(batcher, "music")
            predictor.go_on.set()
            assert targets(await short) == ["music"]
            assert not long.done()
            assert targets(await long) == ["sports"] * len(MANY)
        assert predictor.batches == [MANY[:2], ["music", *MANY[2:4]], MANY[4:]]

    asyncio.run(scenario())


def test_a_request_whose_caller_has_gone_is_dropped(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        gate = Gate(10)
        batcher = Batcher(predictor, gate, batch_tokens=4)
        work = asyncio.create_task(batcher.run())
        predictor.go_on.clear()
        gone = [await begin(batcher, *MANY)]
        await asyncio.sleep(0.05)
        gone.append(await begin(batcher, "weather"))
        stays = await begin(batcher, "music")
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        assert gate.taken == 1
        predictor.go_on.set()
        assert targets(await stays) == ["music"]
        work.cancel()
        batcher.close()
        assert predictor.batches == [[*MANY[:2]], ["music"]]

    asyncio.run(scenario())


def test_one_request_that_fails_leaves_the_others_alone(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        async with running(predictor) as batcher:
            predictor.go_on.clear()
            await begin(batcher, "warm")
            await asyncio.sleep(0.05)
            bad, good = await begin(batcher, "explode"), await begin(batcher, "sports")
            predictor.go_on.set()
            with pytest.raises(ValueError, match="cannot read"):
                await bad
            assert targets(await good) == ["sports"]
            assert targets(await batcher.predict(["music"])) == ["music"]

    asyncio.run(scenario())


def test_too_many_are_refused_and_places_come_free(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        async with running(predictor, waiting=1) as batcher:
            predictor.go_on.clear()
            first = await begin(batcher, "music")
            with pytest.raises(Refusal, match="send this one again"):
                await batcher.predict(["sports"])
            predictor.go_on.set()
            await first
            assert targets(await batcher.predict(["sports"])) == ["sports"]

    asyncio.run(scenario())


def test_equal_texts_are_answered_once(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        async with running(predictor, size=9) as batcher:
            predictor.go_on.clear()
            first = await begin(batcher, "music", "music", "travel")
            await asyncio.sleep(0.05)
            meanwhile = await begin(batcher, "travel", "sports")
            predictor.go_on.set()
            assert targets(await first) == ["music", "music", "travel"]
            assert targets(await meanwhile) == ["travel", "sports"]
        assert predictor.batches == [["music", "travel"], ["sports"]]

    asyncio.run(scenario())


def test_a_lone_request_does_not_wait_for_others(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        async with running(predictor, wait=60) as batcher:
            assert targets(await batcher.predict(["music"])) == ["music"]
            assert targets(await batcher.predict(["sports"])) == ["sports"]

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_after_a_crowd_a_request_waits_for_others_but_not_for_ever(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        async with running(predictor, size=9, wait=0.2) as batcher:
            predictor.go_on.clear()
            crowd = [await begin(batcher, text) for text in ("music", "sports", "travel")]
            predictor.go_on.set()
            await asyncio.gather(*crowd)
            first, second = await begin(batcher, "weather"), await begin(batcher, "science")
            assert targets(await first) + targets(await second) == ["weather", "science"]
        assert predictor.batches[-1] == ["weather", "science"], "the first one waited for the second"

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_stages_and_batches_are_told(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        batches: list[tuple[int, int, float]] = []
        stages: list[str] = []
        async with running(predictor, size=9, observe=lambda *batch: batches.append(batch)) as batcher:
            await batcher.predict(["music now", "music now", "travel"], lambda stage, _: stages.append(stage))
        ((texts, tokens, seconds),) = batches
        assert (texts, tokens) == (2, 3)
        assert seconds > 0
        assert stages == ["tokenize", "queue", "model"]

    asyncio.run(scenario())
