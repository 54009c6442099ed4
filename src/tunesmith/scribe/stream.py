"""What one request is answered, handed from the thread that computes to whoever asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition

from tunesmith.scribe.piece import Piece

__all__ = ["Stream"]


class Stream:
    """The pieces of one request as they come, for one `for` or `async for`.

    It ends when every choice has its last piece, or raises what went wrong. Who no longer wants it calls
    `cancel`; else it is written to its end.
    """

    def __init__(self, prompt_tokens: int, choices: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.tokens = 0
        """How many were written so far in all choices, ends of turns included"""
        self._open = choices
        self._pieces: deque[Piece] = deque()
        self._error: BaseException | None = None
        self._changed = Condition()
        self._wake: Callable[[], object] | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._open == 0

    def cancel(self) -> None:
        """Want no more: what was not fetched is dropped, and the stream ends."""
        with self._changed:
            self._pieces.clear()
            self._open = 0
            self._tell()

    def put(self, piece: Piece) -> None:
        """Hand a piece over, unless nobody wants it; the last of a choice has a `finish_reason`."""
        with self._changed:
            if self._open:
                self._pieces.append(piece)
                self._open -= piece.finish_reason is not None
                self._tell()

    def fail(self, error: BaseException) -> None:
        """End the stream with an error, behind what was handed over before."""
        with self._changed:
            if self._open:
                self._error, self._open = error, 0
                self._tell()

    def __iter__(self) -> Iterator[Piece]:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_ready)
                piece = self._next()
            if piece is None:
                return
            yield piece

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Piece:
        ready, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._changed:
            if self._is_ready():
                ready.set()
            else:
                self._wake = lambda: loop.call_soon_threadsafe(ready.set)
        await ready.wait()
        with self._changed:
            piece = self._next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    def _is_ready(self) -> bool:
        return bool(self._pieces) or self.closed

    def _next(self) -> Piece | None:
        """The next piece, None behind the last."""
        if self._pieces:
            return self._pieces.popleft()
        if self._error is not None:
            raise self._error
        return None

    def _tell(self) -> None:
        self._changed.notify_all()
        wake, self._wake = self._wake, None
        if wake is None:
            return
        try:
            wake()
        except RuntimeError:
            # its event loop has ended, and with it whoever waited
            self._pieces.clear()
            self._open = 0
