"""Models of one server -> turns at the machine, so that they do not run against each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from queue import Empty, PriorityQueue
from typing import Any, TypeVar

from tunesmith.priority import give_way

__all__ = ["Turns"]

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")
_Waiting = tuple[bool, int, Callable[[], object], Future[Any]]


class Turns:
    """Lets `at_once` models work at a time, each in the order in which its batch came.

    A model has one batch, or one step of what it writes, waiting at most, so none can keep the others from
    their turns. What stands `behind` is let in only where nothing else waits.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._waiting: PriorityQueue[_Waiting] = PriorityQueue()
        self._number = count()  # nothing that comes after it is ever compared
        # the same threads for all models: each thread that computes has helpers of its own
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="turn", initializer=give_way)

    def taking(
        self, work: Callable[[AskedT], AnswerT], *, behind: bool = False
    ) -> Callable[[AskedT], AnswerT]:
        """`work` that waits for its turn; it blocks the thread that calls it."""

        def work_in_turn(asked: AskedT) -> AnswerT:
            answer = Future[AnswerT]()
            self._waiting.put((behind, next(self._number), partial(work, asked), answer))
            self._threads.submit(self._work)
            return answer.result()

        return work_in_turn

    def close(self) -> None:
        """Let the threads end once their batch is done; who still waits hears CancelledError."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while (waiting := self._next()) is not None:
            waiting[-1].cancel()

    def _work(self) -> None:
        if (waiting := self._next()) is None:
            return
        *_, work, answer = waiting
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- whatever it is, who waits must hear it
            answer.set_exception(error)

    def _next(self) -> _Waiting | None:
        try:
            return self._waiting.get_nowait()
        except Empty:
            return None
