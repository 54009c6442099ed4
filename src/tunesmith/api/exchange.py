"""Exchange: what is known of one request and its answer, for the log and the metrics."""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.api.quotas import Caller

__all__ = ["LOGGER", "Exchange", "log_exchange", "log_fault"]

LOGGER = logging.getLogger("tunesmith.api")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _new_id() -> str:
    return f"req_{secrets.token_hex(12)}"


@dataclass(slots=True)
class Exchange:
    """Names, lengths, times and codes only: a log made of it cannot hold a text or a key."""

    method: str
    request_id: str = field(default_factory=_new_id)
    began: float = field(default_factory=time.perf_counter)
    route: str = "other"
    """The route's template, never the path that was asked for."""
    key: str = "-"
    """The name of the key that was sent, never the key."""
    caller: Caller | None = None
    """Whose limits count; None until it was admitted."""
    status: int = 0
    """0 until an answer has begun."""
    code: str = "-"
    texts: int = 0
    characters: int = 0
    tokens: int = 0

    def count(self, texts: Sequence[str]) -> None:
        """Note what was asked; raise Refusal where it is more than the caller may."""
        self.texts = len(texts)
        self.characters = sum(len(text) for text in texts)
        if self.caller is not None:
            self.caller.take_texts(self.texts)

    @property
    def seconds(self) -> float:
        """Since the request began."""
        return time.perf_counter() - self.began


def log_exchange(exchange: Exchange) -> None:
    """One line a request."""
    LOGGER.info(
        "%s %s %s status=%d code=%s texts=%d characters=%d tokens=%d ms=%.1f key=%s",
        exchange.request_id,
        exchange.method if exchange.method in _METHODS else "other",
        exchange.route,
        exchange.status,
        exchange.code,
        exchange.texts,
        exchange.characters,
        exchange.tokens,
        1000 * exchange.seconds,
        exchange.key,
    )


def log_fault(where: str, error: BaseException) -> None:
    """Where our own bug happened; its message is left out, since it may quote a text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    LOGGER.error("%s fault=%s at %s", where, type(error).__name__, places)
