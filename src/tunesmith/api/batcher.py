"""Requests that wait -> batches for the model, one at a time in one thread beside the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from tunesmith.api.exchange import Stage
from tunesmith.api.gate import Gate
from tunesmith.model.encode import Encoded, picked
from tunesmith.predict import Prediction

__all__ = ["Batcher", "Note", "Observe"]

Note = Callable[[Stage, float], None]
"""Hears the seconds that a request spent in a stage: `tokenize`, `queue`, `model`"""
Observe = Callable[[int, int, float], None]
"""Hears the texts, equal ones counted once, the tokens and the seconds of each batch"""

_Key = tuple[bytes, bool]
"""A text's token ids, and whether it was cut"""
_Places = dict[_Key, list[tuple["_Job", int]]]
# how much of what was there at once is still expected after each batch
_MEMORY = 0.8


class _Model(Protocol):
    def encode(self, texts: Sequence[str], /) -> Encoded: ...

    def answer(self, encoded: Encoded, /) -> list[Prediction]: ...


@dataclass(slots=True, eq=False)
class _Job:
    """One request: its texts, and which of them are answered."""

    encoded: Encoded
    done: asyncio.Future[list[Prediction]]
    note: Note
    arrived: float = field(default_factory=perf_counter)
    taken: int = 0
    """Texts that have gone into a batch"""
    answers: dict[int, Prediction] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all its texts have gone into a batch."""
        return self.taken == len(self.encoded)

    def key(self, at: int) -> _Key:
        return self.encoded[at].tobytes(), bool(self.encoded.cut[at])

    def answer(self, at: int, prediction: Prediction) -> None:
        """The answer to one text; with the last one, the request is answered."""
        self.answers[at] = prediction
        if len(self.answers) == len(self.encoded) and not self.done.done():
            self.done.set_result([self.answers[each] for each in range(len(self.encoded))])


class Batcher:
    """Answers what has come in while the model was busy together, in batches of `batch_tokens` tokens.

    A lone request never waits. Where several came at once lately, the first of them waits up to
    `max_wait_seconds` for others. A long request takes turns with short ones; one whose caller has gone is
    dropped at its next turn; equal texts are answered once. `run` must be running; all but the model's work
    happens in its event loop.
    """

    def __init__(
        self,
        model: _Model,
        gate: Gate,
        *,
        batch_tokens: int = 2048,
        max_wait_seconds: float = 0.002,
        observe: Observe = lambda _texts, _tokens, _seconds: None,
    ) -> None:
        self._model = model
        self._gate = gate
        self._batch_tokens = batch_tokens
        self._max_wait_seconds = max_wait_seconds
        self._observe = observe
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._crowd = 1.0
        """How many requests there were at once lately"""
        self._latest: dict[_Key, Prediction] = {}
        """What the last batch was answered, for equal texts that came meanwhile"""
        self._tokenizer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    @property
    def waiting(self) -> int:
        """Requests that wait for a batch."""
        return len(self._jobs)

    async def predict(self, texts: Sequence[str], note: Note = lambda _stage, _s: None) -> list[Prediction]:
        """One Prediction a text, in order; raises Refusal `busy` at once where too many wait."""
        with self._gate.permit():
            loop, began = asyncio.get_running_loop(), perf_counter()
            encoded = await loop.run_in_executor(self._tokenizer, self._model.encode, texts)
            note("tokenize", perf_counter() - began)
            job = _Job(encoded, loop.create_future(), note)
            self._jobs.append(job)
            self._arrived.set()
            return await job.done

    async def warm_up(self) -> None:
        """Run the model once, so that the first caller does not pay for what is made on first use."""
        await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._model.answer(self._model.encode(["warm up"]))
        )

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._jobs:
                await self._gather()
                places, unfinished = self._take()
                if places:
                    await self._answer(places)
                self._jobs.extend(job for job in unfinished if not job.done.done())
            self._latest = {}

    def close(self) -> None:
        """Let the threads end once their work is done; what still waits is not answered."""
        for thread in (self._tokenizer, self._thread):
            thread.shutdown(wait=False, cancel_futures=True)

    async def _gather(self) -> None:
        """Wait a little for others, where others are to be expected."""
        try:
            async with asyncio.timeout(self._max_wait_seconds):
                while len(self._jobs) < self._crowd - 0.5:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            pass
        self._crowd = max(1, self._gate.taken, _MEMORY * self._crowd)

    def _take(self) -> tuple[_Places, list[_Job]]:
        """The texts of a batch, each with the places that want its answer; and whose turn comes again."""
        places: _Places = {}
        unfinished, room = [], self._batch_tokens
        while self._jobs and room > 0:
            job = self._jobs.popleft()
            if job.done.done():
                continue
            if not job.taken:
                job.note("queue", perf_counter() - job.arrived)
            room = self._fill(places, job, room)
            if not job.is_whole:
                unfinished.append(job)
        return places, unfinished

    def _fill(self, places: _Places, job: _Job, room: int) -> int:
        """Put texts of a job into a batch until it is full; returns the tokens that are left."""
        while room > 0 and not job.is_whole:
            at, key = job.taken, job.key(job.taken)
            job.taken += 1
            if key in self._latest:
                job.answer(at, self._latest[key])
            elif key in places:
                places[key].append((job, at))
            else:
                places[key] = [(job, at)]
                room -= int(job.encoded.lengths[at])
        return room

    async def _answer(self, places: _Places) -> None:
        began = perf_counter()
        try:
            answers = await self._in_thread([wanting[0] for wanting in places.values()])
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller must hear, and the loop go on
            await self._answer_apart(places, error)
            return
        self._latest = dict(zip(places, answers, strict=True))
        took = perf_counter() - began
        for job in _jobs_of(places):
            job.note("model", took)
        for wanting, prediction in zip(places.values(), answers, strict=True):
            for job, at in wanting:
                job.answer(at, prediction)

    async def _answer_apart(self, places: _Places, error: Exception) -> None:
        """One request's fault is not another's."""
        jobs = _jobs_of(places)
        if len(jobs) == 1:
            if not jobs[0].done.done():
                jobs[0].done.set_exception(error)
            return
        for job in jobs:
            await self._answer({key: own for key, all_ in places.items() if (own := _of(job, all_))})

    async def _in_thread(self, texts: Sequence[tuple[_Job, int]]) -> list[Prediction]:
        encoded = picked([(job.encoded, at) for job, at in texts])
        loop, began = asyncio.get_running_loop(), perf_counter()
        answers = await loop.run_in_executor(self._thread, self._model.answer, encoded)
        self._observe(len(encoded), len(encoded.flat), perf_counter() - began)
        assert len(answers) == len(texts), "one answer a text"
        return answers


def _jobs_of(places: _Places) -> list[_Job]:
    return list(dict.fromkeys(job for wanting in places.values() for job, _ in wanting))


def _of(job: _Job, wanting: Sequence[tuple[_Job, int]]) -> list[tuple[_Job, int]]:
    return [(other, at) for other, at in wanting if other is job]
