"""Requests that wait together are answered together, in turns, and apart where one fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.unit.api.conftest import FakePredictor
from tunesmith.api.batcher import Batcher
from tunesmith.api.gate import Gate
from tunesmith.api.refusal import Refusal
from tunesmith.predict import Prediction


@asynccontextmanager
async def running(predictor: FakePredictor, *, waiting: int = 100, size: int = 4) -> AsyncIterator[Batcher]:
    batcher = Batcher(predictor.predict, Gate(waiting), batch_texts=size)
    work = asyncio.create_task(batcher.run())
    yield batcher
    work.cancel()
    batcher.close()


def targets(predictions: Sequence[Prediction]) -> list[str]:
    return [prediction.labels[0] for prediction in predictions]


async def begin(batcher: Batcher, *texts: str) -> asyncio.Task[list[Prediction]]:
    task = asyncio.create_task(batcher.predict(texts))
    await asyncio.sleep(0)  # so that it takes its place in the queue
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
            long = await begin(batcher, *["sports"] * 11)
            await asyncio.sleep(0.05)
            short = await begin(batcher, "music")
            predictor.go_on.set()
            assert targets(await short) == ["music"]
            assert not long.done()
            assert targets(await long) == ["sports"] * 11
        assert [len(batch) for batch in predictor.batches] == [4, 4, 4]

    asyncio.run(scenario())


def test_a_request_whose_caller_has_gone_is_dropped(predictor: FakePredictor) -> None:
    async def scenario() -> None:
        gate = Gate(10)
        batcher = Batcher(predictor.predict, gate, batch_texts=4)
        work = asyncio.create_task(batcher.run())
        predictor.go_on.clear()
        gone = [await begin(batcher, *["sports"] * 9)]
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
        assert predictor.batches == [["sports"] * 4, ["music"]]

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
