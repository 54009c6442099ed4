"""What everything around an app's routes needs of it, whatever the app serves."""

from __future__ import annotations

from typing import Protocol

from tunesmith.api.metrics import Metrics
from tunesmith.api.refusal import Refusal
from tunesmith.api.settings import Settings

__all__ = ["Shared", "draining_refusal"]


class Shared(Protocol):
    """What the routes of one app share, as its guards and its server see it."""

    settings: Settings
    metrics: Metrics
    draining: bool

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""

    def drain(self) -> None:
        """From now on nothing new is taken; what has begun goes on."""


def draining_refusal() -> Refusal:
    """What a new request hears while the server ends."""
    message = "the server is shutting down; send the request to another, or again in a moment"
    return Refusal("draining", message, headers={"Retry-After": "1", "Connection": "close"})
