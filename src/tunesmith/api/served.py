"""Served: a model at work, with its queue and with what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from tunesmith.api.batcher import Batcher, Observe
from tunesmith.api.exchange import log_fault
from tunesmith.api.explaining import Explain, Explainer
from tunesmith.api.gate import Gate
from tunesmith.api.report import page_of
from tunesmith.api.request import request_model
from tunesmith.api.schemas import ModelFacts
from tunesmith.api.settings import Settings
from tunesmith.api.turns import Turns
from tunesmith.predict import Prediction
from tunesmith.task import Task

if TYPE_CHECKING:
    from tunesmith.api.context import Answers

__all__ = ["Loaded", "Served"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that could be served."""

    answers: Answers
    about: Mapping[str, Any]
    """Fields of `ModelFacts` that it does not know itself, `model` (its name) at least."""
    task: Task | None = None
    """What it has learned, and from which column."""
    explain: Explain | None = None
    """What explains its answers, where it has gradients."""
    report: Callable[[], object] | None = None
    """What reads the report of its evaluation, as JSON values."""


class _InTurn:
    """A model that waits for its turn to answer; what it will read is told at once."""

    def __init__(self, answers: Answers, turns: Turns) -> None:
        self.encode = answers.encode
        self.answer = turns.taking(answers.answer)


def _in_one_step(answers: Answers) -> Callable[[Sequence[str]], list[Prediction]]:
    return lambda texts: answers.answer(answers.encode(texts)) if texts else []


class Served:
    """One model of a server; all but its predictions happens in the event loop."""

    def __init__(
        self, loaded: Loaded, settings: Settings, turns: Turns, waiting: Gate, observe: Observe
    ) -> None:
        answers = loaded.answers
        self.explainer = Explainer(loaded.explain, turns, settings.batch_tokens)
        self.facts = ModelFacts(
            labels=list(answers.labels),
            max_tokens=answers.max_tokens,
            explains=self.explainer.can,
            has_report=loaded.report is not None,
            **loaded.about,
        )
        self.request_model = request_model(len(answers.labels), settings)
        self.report_page = cache(partial(page_of, loaded.report, self.name))
        """The address of its style -> the page of its evaluation; blocks the first time."""
        self.task = loaded.task or Task(labels=answers.labels, kind=self.facts.kind)
        self.predict_behind = turns.taking(_in_one_step(answers), behind=True)
        """For work that nobody waits for; it blocks."""
        self.batcher = Batcher(
            _InTurn(answers, turns),
            waiting,
            batch_tokens=settings.batch_tokens,
            max_wait_seconds=settings.max_wait_ms / 1000,
            observe=observe,
        )
        self.warm = False
        self._uses = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._work: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """What callers call it."""
        return self.facts.model

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it at work while the block runs, even where it is to be unloaded meanwhile."""
        self._uses += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._uses -= 1
            if not self._uses:
                self._unused.set()

    async def warm_up(self) -> None:
        """Let it answer for the first time; raises whatever keeps it from that."""
        await self.batcher.warm_up()
        self.warm = True

    def start(self, on_warm: Callable[[], None] = lambda: None) -> None:
        """Begin to answer, and to warm up where that is not done; `on_warm` hears when it is."""
        self._work = asyncio.create_task(self._run(on_warm))

    async def stop(self) -> None:
        """End; what still waits is not answered."""
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
        self.batcher.close()
        self.explainer.close()

    async def drain(self) -> None:
        """End once nobody uses it any more."""
        await self._unused.wait()
        await self.stop()

    async def _run(self, on_warm: Callable[[], None]) -> None:
        try:
            if not self.warm:
                await self.warm_up()
            on_warm()
        except Exception as error:  # noqa: BLE001 -- it stays unready, and the log says why
            log_fault("warm-up", error)
        await self.batcher.run()
