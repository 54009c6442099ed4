"""A disk that is full at every place where something is written: nothing is lost, and the studio stays up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos.served import METHOD, new_small_studio, served
from tests.studio import Studio, talks, weights
from tunesmith.errors import UserError
from tunesmith.studio.janitor import remove_orphans
from tunesmith.studio.types import ENDED, Job
from tunesmith.studio.work.worker import Worker

__all__ = ["FullDisk", "can_mount", "fill_the_disk"]

_DISK_BYTES = 64 << 20
_LEASE_SECONDS = 0.5
_TRIED_SECONDS = 3.0
_PATIENCE_SECONDS = 60.0
_LATER = 2 * 24 * 3600.0
_REFUSALS = ("disk-low", "storage-fault")


@dataclass(slots=True)
class FullDisk:
    """What became of jobs whose disk had less and less room left."""

    fills: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    """`succeeded`, or the code that a job failed with, or what refused its file or the job -> how often"""
    faults: list[str] = field(default_factory=list)


def can_mount() -> bool:
    """Whether a file system of its own can be made here: only root on Linux may."""
    with suppress(OSError):
        return os.geteuid() == 0 and subprocess.run(["mount", "--help"], capture_output=True).returncode == 0
    return False


@contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(place)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill_the_disk(directory: Path, base: Path, *, fills: int) -> FullDisk:
    """Send a file and train a job, again and again, each time with other room on the disk of all.

    The room goes in equal steps from nothing to what the job takes.
    """
    found, disk = FullDisk(), directory / "disk"
    with _small_disk(disk):
        studio = new_small_studio(disk / "studio", base, lease_seconds=_LEASE_SECONDS, max_attempts=1000)
        with served(studio) as url, httpx.Client(base_url=url, timeout=60) as http:
            trial, free = _Trial(studio, http, disk, found), _free(disk)
            trial.begin()
            taken = free - _free(disk)
            for number in range(fills):
                trial.once(taken * number // fills)
        studio.close()
    return found


@dataclass(slots=True)
class _Trial:
    studio: Studio
    http: httpx.Client
    disk: Path
    found: FullDisk
    whole: str = ""
    """The weights of a job that nothing was in the way of"""

    def begin(self) -> None:
        """Train a job with all the room there is."""
        job = self._asked()
        assert job is not None
        assert self._worked(job, _PATIENCE_SECONDS).status == "succeeded"
        self.whole = weights(self.studio, job)

    def once(self, room: int) -> None:
        """The same with so many bytes left, which are enough only once the job is under way or has ended."""
        filler, where = self.disk / "filler", f"{room:,} bytes left"
        with filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, max(1, _free(self.disk) - room))
        job = self._asked()
        if job is not None:
            self._worked(job, _TRIED_SECONDS)
        for path in ("/healthz", "/v1/fine_tuning/jobs", "/v1/files"):
            if (status := self.http.get(path).status_code) != 200:
                self.found.faults.append(f"{where}: {path} answers {status}")
        filler.unlink()
        self.found.fills += 1
        self.found.ended[self._end_of(job, where) if job is not None else "refused"] += 1
        self._judge_store(where)

    def _asked(self) -> Job | None:
        """A job with a file of its own; None where one of them was refused."""
        text = b"".join(json.dumps(line).encode() + b"\n" for line in talks(10))
        form = {"files": {"file": ("train.jsonl", text)}, "data": {"purpose": "fine-tune"}}
        answer = self.http.post("/v1/files", **form)  # type: ignore[arg-type]
        if self._is_made(answer):
            body = {"model": "tiny", "training_file": answer.json()["id"], "seed": 7, "method": METHOD}
            answer = self.http.post("/v1/fine_tuning/jobs", json=body)
            if self._is_made(answer):
                return self.studio.store.jobs.find("default", answer.json()["id"])
        return None

    def _is_made(self, answer: httpx.Response) -> bool:
        if answer.status_code != 200 and answer.json()["error"]["code"] not in _REFUSALS:
            self.found.faults.append(f"refused by {answer.status_code}: {answer.text}")
        return answer.status_code == 200

    def _worked(self, job: Job, seconds: float) -> Job:
        """The job, after a worker had so long for it; what a worker survives, this one does."""
        worker, until = Worker(self.studio.place), time.monotonic() + seconds
        while self.studio.found(job).status not in ENDED and time.monotonic() < until:
            with suppress(SQLAlchemyError, UserError):
                worker.validate_next()
                worker.train_next()
            time.sleep(0.05)
        return self.studio.found(job)

    def _end_of(self, job: Job, where: str) -> str:
        """How a job ended, with room again."""
        job = self._worked(job, _PATIENCE_SECONDS)
        if job.status == "succeeded":
            if weights(self.studio, job) != self.whole:
                self.found.faults.append(f"{where}: other weights")
            return "succeeded"
        as_told = "disk-full" in str(job.error) and str(self.disk) not in str(job.error)
        if job.status != "failed" or not as_told:
            self.found.faults.append(f"{where}: {job.status}, {job.error}")
        return str((job.error or {}).get("code"))

    def _judge_store(self, where: str) -> None:
        """What is referred to is there, and nothing else, when the janitor has come by."""
        store, blobs = self.studio.store, self.studio.place.blobs
        remove_orphans(store, blobs, now=time.time() + _LATER)
        there, known = {name for name, _ in blobs.names(("files", "parts"))}, store.blobs()
        models = {name for name, _ in blobs.names(("models",))}
        for name in sorted((known - there - models) | (there - known)):
            self.found.faults.append(f"{where}: {name} is {'lost' if name in known else 'left'}")
        for file in store.files.page("default", purpose=None, after=None, limit=100_000, order="asc").data:
            self.http.delete(f"/v1/files/{file.id}")
        for model in store.models.all_of("default"):
            self.http.delete(f"/v1/models/{model.id}")


def _free(disk: Path) -> int:
    return shutil.disk_usage(disk).free
