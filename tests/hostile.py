"""What a stranger may send or leave lying about: weights whose header lies, and a guard at the network."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

_FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def safetensors(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A file with this header, which may say of the data what it likes."""
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(told) if length is None else length) + told + data


LIES: dict[str, bytes] = {
    "past the end": safetensors({"a": _FLOATS | {"shape": [200], "data_offsets": [0, 800]}}, bytes(8)),
    "overlapping": safetensors({"a": _FLOATS, "b": _FLOATS | {"data_offsets": [4, 12]}}, bytes(12)),
    "backwards": safetensors({"a": _FLOATS | {"data_offsets": [8, 0]}}, bytes(8)),
    "another size": safetensors({"a": _FLOATS | {"shape": [3]}}, bytes(8)),
    "overflowing": safetensors({"a": _FLOATS | {"shape": [(1 << 63) - 1, 9]}}, bytes(8)),
    "bytes without a name": safetensors({"a": _FLOATS}, bytes(99)),
    "endless header": safetensors(b"{}", length=1 << 62),
    "huge header": safetensors(b"{" + b" " * 999, length=200 << 20),
    "no header": safetensors(b"no JSON"),
    "nothing": b"",
}
"""Files of safetensors whose header does not fit what follows it, by what is wrong."""


@contextmanager
def no_network(*, but: int | None = None) -> Iterator[list[Any]]:
    """Refuse every connection and every look-up of a name while the block runs, and list them.

    `but` is the port of a server of ours, which may be asked.
    """
    asked: list[Any] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refused(where: Any) -> OSError:
        asked.append(where)
        return OSError("no test may ask a network")

    def connected(self: socket.socket, address: Any) -> None:
        if but is None or address[1] != but:
            raise refused(address)
        connect(self, address)

    def looked_up(host: Any, port: Any, *others: Any, **options: Any) -> Any:
        if but is None or port != but:
            raise refused(host)
        return look_up(host, port, *others, **options)

    with (
        mock.patch.object(socket.socket, "connect", connected),
        mock.patch.object(socket.socket, "connect_ex", connected),
        mock.patch.object(socket, "getaddrinfo", looked_up),
    ):
        yield asked
