"""Requests that wait -> batches for the model, one at a time in one thread beside the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tunesmith.api.gate import Gate
from tunesmith.predict import Prediction

__all__ = ["Batcher", "Predict"]

Predict = Callable[[Sequence[str]], list[Prediction]]

_BATCH_TEXTS = 64


@dataclass(slots=True, eq=False)
class _Job:
    texts: Sequence[str]
    done: asyncio.Future[list[Prediction]]
    answers: list[Prediction] = field(default_factory=list)

    def rest(self, most: int) -> Sequence[str]:
        """The next texts to answer."""
        return self.texts[len(self.answers) : len(self.answers) + most]


class Batcher:
    """Answers what has come in while the model was busy together, in batches of `batch_texts`.

    Nothing waits for a batch to fill. A long request takes turns with short ones; one whose caller has
    gone is dropped at its next turn. `run` must be running; all but `predict` happens in its event loop.
    """

    def __init__(self, predict: Predict, gate: Gate, *, batch_texts: int = _BATCH_TEXTS) -> None:
        self._predict = predict
        self._gate = gate
        self._batch_texts = batch_texts
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One Prediction a text, in order; raises Refusal `busy` at once where too many wait."""
        with self._gate.permit():
            job = _Job(texts, asyncio.get_running_loop().create_future())
            self._jobs.append(job)
            self._arrived.set()
            return await job.done

    async def warm_up(self) -> None:
        """Run the model once, so that the first caller does not pay for what is made on first use."""
        await self._in_thread(["warm up"])

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while pieces := self._take():
                await self._answer(pieces)
                self._jobs.extend(job for job, _ in pieces if not job.done.done())

    def close(self) -> None:
        """Let the thread end once its batch is done; what still waits is not answered."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _take(self) -> list[tuple[_Job, Sequence[str]]]:
        pieces: list[tuple[_Job, Sequence[str]]] = []
        room = self._batch_texts
        while room and self._jobs:
            job = self._jobs.popleft()
            if not job.done.done():
                pieces.append((job, job.rest(room)))
                room -= len(pieces[-1][1])
        return pieces

    async def _answer(self, pieces: Sequence[tuple[_Job, Sequence[str]]]) -> None:
        try:
            answers = iter(await self._in_thread([text for _, texts in pieces for text in texts]))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller must hear, and the loop go on
            await self._answer_apart(pieces, error)
            return
        for job, texts in pieces:
            job.answers += [next(answers) for _ in texts]
            if len(job.answers) == len(job.texts) and not job.done.done():
                job.done.set_result(job.answers)

    async def _answer_apart(self, pieces: Sequence[tuple[_Job, Sequence[str]]], error: Exception) -> None:
        """One request's fault is not another's."""
        if len(pieces) > 1:
            for piece in pieces:
                await self._answer([piece])
        elif not (done := pieces[0][0].done).done():
            done.set_exception(error)

    async def _in_thread(self, texts: Sequence[str]) -> list[Prediction]:
        answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._predict, texts)
        assert len(answers) == len(texts), "one answer a text"
        return answers
