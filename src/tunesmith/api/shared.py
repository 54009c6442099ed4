"""What everything around an app's routes needs of it, whatever the app serves."""

from __future__ import annotations

from typing import Protocol

from tunesmith.api.metrics import Metrics
from tunesmith.api.settings import Settings

__all__ = ["Shared"]


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
