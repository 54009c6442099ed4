"""Gate: so many at a time, and those beyond are told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tunesmith.api.refusal import Refusal

__all__ = ["Gate"]

_RETRY_SECONDS = 1


class Gate:
    """Gives out `limit` permits; used from the event loop only, and never waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self.on_change: Callable[[int], object] = lambda _taken: None
        """Hears how many permits are out whenever that changes."""

    @property
    def taken(self) -> int:
        """How many permits are out."""
        return self._taken

    def check(self) -> None:
        """Raise Refusal `busy` where no permit is left."""
        if self._taken >= self._limit:
            message = "the server has as many requests as it can hold; send this one again in a moment"
            raise Refusal("busy", message, headers={"Retry-After": str(_RETRY_SECONDS)})

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Hold a permit while the block runs; raise Refusal `busy` where none is left."""
        self.check()
        self._move(1)
        try:
            yield
        finally:
            self._move(-1)

    def _move(self, by: int) -> None:
        self._taken += by
        self.on_change(self._taken)
