"""A store that speaks S3's protocol, in a process of its own, which keeps all in memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.listening import free_port

__all__ = ["object_store"]

_STARTS_WITHIN_SECONDS = 60
# what clients take from their surroundings, and what the store does not look at
_SURROUNDINGS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def object_store() -> Iterator[str]:
    """Let S3's clients in this process, and those it starts, find the store; gives a bucket's address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    surroundings = {**_SURROUNDINGS, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
    before = {name: os.environ.get(name) for name in surroundings}
    os.environ.update(surroundings)
    try:
        _wait_for(port)
        yield _new_bucket()
    finally:
        server.kill()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _wait_for(port: int) -> None:
    until = time.monotonic() + _STARTS_WITHIN_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert time.monotonic() < until, "the store does not listen"
            time.sleep(0.05)
        else:
            return


def _new_bucket() -> str:
    from fsspec import filesystem

    filesystem("s3", use_listings_cache=False).mkdir("bucket")
    return "s3://bucket"
