"""Place: what a worker works with, and where the directories of its jobs lie."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

from tunesmith.studio.blobs import Blobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.store import Store
from tunesmith.studio.types import Lease

__all__ = ["OWNER", "Place", "new_owner"]

OWNER = "TUNESMITH_WORKER_OWNER"
"""In the environment of a worker that others started: the name that it is to hold its leases by"""


def new_owner() -> str:
    """A name that no other worker has, or ever had."""
    return f"{socket.gethostname()[:64]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Place:
    """One worker's store, blobs and disk."""

    store: Store
    blobs: Blobs
    config: StudioConfig
    directory: Path
    """Of the studio on this machine"""
    owner: str
    """Who holds the leases; no two workers have the same name"""

    @property
    def work(self) -> Path:
        """Where jobs train, each in a directory of its own."""
        return self.directory / "work"

    def attempt(self, lease: Lease) -> Path:
        """Where the job is trained by whoever holds this lease, and by nobody else."""
        return self.work / lease.job_id / f"{lease.fence:06d}"
