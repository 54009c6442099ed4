"""Diary: what a job tells while it is at work, kept until the next heartbeat writes it down."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.studio.store.queue import Held
from tunesmith.studio.types import Level

__all__ = ["Diary"]


@dataclass(frozen=True, slots=True)
class _Entry:
    message: str
    level: Level
    data: Mapping[str, Any] | None
    metrics: bool


class Diary:
    """Filled by the thread that works and emptied by the one that beats."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self._step = 0
        self._remaining_seconds: float | None = None

    def tell(
        self,
        message: str,
        *,
        level: Level = "info",
        data: Mapping[str, Any] | None = None,
        metrics: bool = False,
    ) -> None:
        """Note an event."""
        with self._lock:
            self._entries.append(_Entry(message, level, data, metrics))

    def progress(self, step: int, remaining_seconds: float) -> None:
        """Note how far the work is."""
        with self._lock:
            self._step, self._remaining_seconds = step, remaining_seconds

    def write(self, held: Held) -> int:
        """Write down all that was noted, in this transaction; how many events these are."""
        with self._lock:
            entries, step, remaining = list(self._entries), self._step, self._remaining_seconds
        for entry in entries:
            held.tell(entry.message, level=entry.level, data=entry.data, metrics=entry.metrics)
        if remaining is not None:
            held.progress(step, estimated_finish=int(held.now + remaining))
        return len(entries)

    def forget(self, entries: int) -> None:
        """Let go of the events that are written down for good."""
        with self._lock:
            del self._entries[:entries]
