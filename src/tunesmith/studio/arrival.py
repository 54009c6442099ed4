"""A file on its way in: from the network into its blob, counted and hashed, whole or absent."""

from __future__ import annotations

import asyncio
import hashlib
from types import TracebackType
from typing import IO, Self

from tunesmith.api.refusal import Refusal
from tunesmith.studio.blobs import Blobs
from tunesmith.studio.context import on_disk
from tunesmith.studio.refusing import disk_low

__all__ = ["Arrival", "check_disk"]

_WRITTEN_BYTES = 1 << 20
_LOOK_BYTES = 16 << 20


def check_disk(blobs: Blobs, least_free: int, more: int = 0) -> None:
    """Raise Refusal `disk-low` where less than `least_free` bytes would be left after `more`."""
    free = blobs.free_bytes()
    if free is not None and free - more < least_free:
        raise disk_low()


class Arrival:
    """Writes a blob that goes again unless it is kept and something refers to it.

    Raises StorageError, and Refusal `disk-low` where the disk fills up meanwhile.
    """

    def __init__(self, blobs: Blobs, blob: str, least_free: int) -> None:
        self._blobs, self._least_free = blobs, least_free
        self.blob = blob
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._writing = blobs.writing(blob)
        self._stream: IO[bytes] | None = None
        self._ahead = bytearray()
        self._looked = 0
        self._settled = False

    async def __aenter__(self) -> Self:
        await on_disk(check_disk, self._blobs, self._least_free)
        self._stream = await on_disk(self._writing.__enter__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            await on_disk(self._abandon, error or asyncio.CancelledError())
        elif not self._settled and (error is None or isinstance(error, Refusal)):
            # of a request that broke off nobody knows whether it was written down: the janitor looks later
            await on_disk(self._blobs.remove, self.blob)

    @property
    def sha256(self) -> str:
        """Of what was written, in hexadecimal."""
        return self._sha256.hexdigest()

    async def write(self, data: bytes) -> None:
        """Take some bytes; they are written when there are enough."""
        self._ahead += data
        self.bytes += len(data)
        if len(self._ahead) >= _WRITTEN_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what was taken; `sha256` is that of all bytes then."""
        ahead, self._ahead = self._ahead, bytearray()
        await on_disk(self._write, ahead)

    async def keep(self) -> None:
        """Let the blob be there."""
        await self.flush()
        self._stream = None
        await on_disk(self._writing.__exit__, None, None, None)

    def settle(self) -> None:
        """Something refers to the blob: it stays."""
        self._settled = True

    def _write(self, data: bytearray) -> None:
        assert self._stream is not None
        if self.bytes - self._looked >= _LOOK_BYTES:
            self._looked = self.bytes
            check_disk(self._blobs, self._least_free)
        self._sha256.update(data)
        self._stream.write(data)

    def _abandon(self, error: BaseException) -> None:
        # what the system refused becomes a StorageError on this way
        try:
            self._writing.__exit__(type(error), error, error.__traceback__)
        except BaseException as raised:
            if raised is not error:
                raise
