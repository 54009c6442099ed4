"""What a process that crashes leaves behind: nothing that holds a text or a key."""

from __future__ import annotations

import threading
from contextlib import suppress

from tunesmith.api.exchange import log_fault

__all__ = ["leave_no_text"]


def leave_no_text() -> None:
    """From now on a crash of this process or its children dumps no memory, and one of a thread says no words.

    Limits of memory are left alone: torch reserves far more addresses than it uses.
    """
    with suppress(ImportError):  # a system without such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.excepthook = _log_crash


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not isinstance(crash.exc_value, SystemExit):
        log_fault(crash.thread.name if crash.thread else "thread", crash.exc_value)
