"""Threads that compute, behind those that answer."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["give_way"]

# two such threads get about as much of a core as one other
_STEPS = 3


def give_way() -> None:
    """Let this thread, and those that it will start, stand behind others that want a core.

    Who asks a server is then heard at once, and the model's work takes no longer. Only Linux has a priority
    for each thread; elsewhere nothing changes.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # where a sandbox forbids it, it has to do without
            os.nice(_STEPS)
