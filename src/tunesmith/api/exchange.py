"""Exchange: what is known of one request and its answer, for the log and the metrics."""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from tunesmith.api.keys import DEFAULT_PROJECT

if TYPE_CHECKING:
    from starlette.requests import Request

    from tunesmith.api.quotas import Caller

__all__ = ["LOGGER", "Exchange", "Stage", "exchange_of", "log_event", "log_exchange", "log_fault", "new_id"]

Stage = Literal["admit", "read", "answer", "queue", "tokenize", "model", "write"]
"""Where the time of a request goes: who it is, its body, the answer and its parts, and sending it."""

LOGGER = logging.getLogger("tunesmith.api")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def new_id() -> str:
    """A request id that nobody else has."""
    return f"req_{secrets.token_hex(12)}"


@dataclass(slots=True)
class Exchange:
    """Names, lengths, times and codes only: a log made of it cannot hold a text or a key."""

    method: str
    request_id: str = field(default_factory=new_id)
    began: float = field(default_factory=time.perf_counter)
    route: str = "other"
    """The route's template, never the path that was asked for."""
    key: str = "-"
    """The name of the key that was sent, never the key."""
    project: str = DEFAULT_PROJECT
    """Whose files, jobs and models count."""
    caller: Caller | None = None
    """Whose limits count; None until it was admitted."""
    status: int = 0
    """0 until an answer has begun."""
    code: str = "-"
    texts: int = 0
    characters: int = 0
    tokens: int = 0
    stages: dict[Stage, float] = field(default_factory=dict)
    """Seconds by stage; `answer` is the whole of queue, tokenize and model."""

    def note(self, stage: Stage, seconds: float) -> None:
        """Add the seconds that a stage took."""
        self.stages[stage] = self.stages.get(stage, 0.0) + seconds

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Add the seconds that the block takes to a stage, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.note(stage, time.perf_counter() - began)

    @property
    def known_method(self) -> str:
        """The method, where it is one of HTTP's."""
        return self.method if self.method in _METHODS else "other"

    def fields(self) -> dict[str, object]:
        """What a log for programs holds of it; what is not known is null."""
        return {
            "request_id": self.request_id,
            "key": None if self.key == "-" else self.key,
            "method": self.known_method,
            "route": self.route,
            "status": self.status,
            "code": None if self.code == "-" else self.code,
            "texts": self.texts,
            "characters": self.characters,
            "tokens": self.tokens,
            "milliseconds": _milliseconds(self.seconds),
            "stages": {stage: _milliseconds(seconds) for stage, seconds in self.stages.items()},
        }

    def count(self, texts: Sequence[str]) -> None:
        """Note what was asked; raise Refusal where it is more than the caller may."""
        self.texts = len(texts)
        self.characters = sum(len(text) for text in texts)
        self.charge(self.texts)

    def charge(self, texts: int) -> None:
        """Count texts against the caller's limit; raise Refusal where they are too many."""
        if self.caller is not None:
            self.caller.take_texts(texts)

    def charge_work(self, text: str, texts: int) -> None:
        """Note a text that costs as much as so many; raise Refusal where it is more than the caller may."""
        self.characters = len(text)
        if self.caller is not None:
            self.caller.take_work(texts)

    @property
    def seconds(self) -> float:
        """Since the request began."""
        return time.perf_counter() - self.began


def exchange_of(request: Request) -> Exchange:
    """The request's entry in the log."""
    return cast(Exchange, request.state.exchange)


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)


def log_event(text: str, event: str, fields: Mapping[str, object], level: int = logging.INFO) -> None:
    """One line of the log: `text` for people, `event` and `fields` where it is written as JSON."""
    LOGGER.log(level, "%s", text, extra={"fields": {"event": event, **fields}})


def log_exchange(exchange: Exchange) -> None:
    """One line a request."""
    stages = ",".join(f"{stage}:{1000 * seconds:.1f}" for stage, seconds in exchange.stages.items())
    text = (
        f"{exchange.request_id} {exchange.known_method} {exchange.route} status={exchange.status}"
        f" code={exchange.code} texts={exchange.texts} characters={exchange.characters}"
        f" tokens={exchange.tokens} ms={1000 * exchange.seconds:.1f} key={exchange.key}"
        f" stages={stages or '-'}"
    )
    log_event(text, "request", exchange.fields())


def log_fault(where: str, error: BaseException) -> None:
    """Where our own bug happened; its message is left out, since it may quote a text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    kind = type(error).__name__
    text = f"{where} fault={kind} at {places}"
    log_event(text, "fault", {"request_id": where, "fault": kind, "at": places}, logging.ERROR)
