"""One model at a time, in the order of arrival; what stands behind waits for all others."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.waiting import until
from tunesmith.api.turns import Turns
from tunesmith.predict import Prediction


class Machine:
    """Writes down what ran, and on how many threads at once; `hold` keeps it from ending."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.most = 0
        self.threads: set[int] = set()
        self._at_work = 0
        self._lock = threading.Lock()
        self.begun = threading.Semaphore(0)
        self.hold = threading.Event()

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        with self._lock:
            self.order.append(texts[0])
            self.threads.add(threading.get_ident())
            self._at_work += 1
            self.most = max(self.most, self._at_work)
        self.begun.release()
        assert self.hold.wait(20)
        with self._lock:
            self._at_work -= 1
        if texts[0] == "explode":
            raise ValueError
        return [Prediction(text, {}) for text in texts]


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def waiting(turns: Turns) -> int:
    return turns._waiting.qsize()


def begin(
    callers: ThreadPoolExecutor, turns: Turns, machine: Machine, name: str, *, behind: bool = False
) -> Future[list[Prediction]]:
    """A caller that has taken its place, or is at work."""
    before = waiting(turns)
    future = callers.submit(turns.taking(machine.predict, behind=behind), [name])
    until(lambda: waiting(turns) > before or machine.order[-1:] == [name])
    return future


def test_those_who_wait_work_in_order_and_the_background_last(callers: ThreadPoolExecutor) -> None:
    turns, machine = Turns(), Machine()
    first = begin(callers, turns, machine, "first")
    assert machine.begun.acquire(timeout=20)
    others = [
        begin(callers, turns, machine, "table", behind=True),
        begin(callers, turns, machine, "second"),
        begin(callers, turns, machine, "third"),
    ]
    machine.hold.set()
    assert [future.result(20)[0].target for future in (first, *others)] == [
        "first",
        "table",
        "second",
        "third",
    ]
    assert machine.order == ["first", "second", "third", "table"]
    assert machine.most == 1
    assert len(machine.threads) == 1
    turns.close()


def test_as_many_work_at_once_as_are_let(callers: ThreadPoolExecutor) -> None:
    turns, machine = Turns(2), Machine()
    futures = [callers.submit(turns.taking(machine.predict), [str(at)]) for at in range(3)]
    assert machine.begun.acquire(timeout=20)
    assert machine.begun.acquire(timeout=20)
    assert not machine.begun.acquire(timeout=0.2)
    machine.hold.set()
    assert sorted(str(future.result(20)[0].target) for future in futures) == ["0", "1", "2"]
    assert machine.most == 2
    turns.close()


def test_a_fault_is_the_callers_alone(callers: ThreadPoolExecutor) -> None:
    turns, machine = Turns(), Machine()
    machine.hold.set()
    with pytest.raises(ValueError):  # noqa: PT011 -- it has no message
        turns.taking(machine.predict)(["explode"])
    assert turns.taking(machine.predict)(["well"])[0].target == "well"
    turns.close()


def test_who_waits_when_it_closes_is_not_left_waiting(callers: ThreadPoolExecutor) -> None:
    turns, machine = Turns(), Machine()
    first = begin(callers, turns, machine, "first")
    assert machine.begun.acquire(timeout=20)
    second = begin(callers, turns, machine, "second")
    turns.close()
    with pytest.raises(CancelledError):
        second.result(20)
    machine.hold.set()
    assert first.result(20)[0].target == "first"
    with suppress(RuntimeError):
        turns.taking(machine.predict)(["late"])
    assert machine.order == ["first"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own elsewhere")
def test_models_stand_behind_who_answers_probes() -> None:
    turns = Turns()
    niceness = turns.taking(lambda _: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))(None)
    turns.close()
    assert niceness > os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
