"""The model hub, as far as it can be reached: who has no network waits for nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

__all__ = ["hub_address", "is_reachable", "only_local"]

_TIMEOUT_SECONDS = 3.0


def hub_address() -> str:
    """The URL of the hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def is_reachable(address: str) -> bool:
    """Whether a connection to the host of this URL can be opened within seconds."""
    try:
        parts = urlsplit(address)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        with socket.create_connection((parts.hostname or "", port), timeout=_TIMEOUT_SECONDS):
            return True
    except (OSError, ValueError):  # ValueError: what HF_ENDPOINT says is no address
        return False


def only_local(location: str) -> bool:
    """Whether a base can only be had from this machine: the hub is tried again and again otherwise.

    Where a proxy is set, what can be reached is for the proxy to say.
    """
    if Path(location).is_dir() or {"http", "https", "all"} & getproxies().keys():
        return False
    return not is_reachable(hub_address())
