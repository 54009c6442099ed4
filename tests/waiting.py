"""Waiting for what happens in another thread, task or process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["until", "until_then"]

# a busy machine must not decide a test
_SECONDS = 120


def until(holds: Callable[[], object], what: str = "it") -> None:
    """Wait until something is so; AssertionError where it never comes."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.01)


async def until_then(holds: Callable[[], object], what: str = "it") -> None:
    """As `until`, and others go on meanwhile."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come"
        await asyncio.sleep(0.01)
