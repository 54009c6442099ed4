"""Files mapped into memory and read in memory that does not grow with them."""

from __future__ import annotations

import mmap
from typing import IO

__all__ = ["Mapped"]

# each touch may bring in the pages around it, 64 KiB of them on Linux
_TOUCHES = 256


class Mapped:
    """A file mapped for reading; whatever reads `view` keeps it open, even when the file is removed.

    Pages that were read count as this process's memory until they are released; the system keeps them at
    hand for as long as it has room.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._touches = 0

    @property
    def view(self) -> memoryview:
        """The bytes of the file."""
        return memoryview(self._map)

    def release(self) -> None:
        """Give the pages that were read back to the system, where it has a call for that."""
        self._touches = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def touched(self) -> None:
        """Say that a place was read at random: now and then all is released."""
        self._touches += 1
        if self._touches >= _TOUCHES:
            self.release()
