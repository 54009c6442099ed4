"""A studio for tests: a base of two tiny layers, files, jobs, and workers in this process or others."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tunesmith.api.logs import start_log
from tunesmith.config import write_config
from tunesmith.files import sha256_bytes, sha256_file
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.ids import new_id
from tunesmith.studio.store import Store
from tunesmith.studio.store.queue import Claim
from tunesmith.studio.types import ENDED, File, Job
from tunesmith.studio.work.place import Place
from tunesmith.studio.work.worker import Worker, opened_place, run_worker

LABELS = ("sports", "politics")
WARM = get_context("forkserver")
"""Forks processes off one that has loaded torch: to load it takes longer than to train a job of these"""
WARM.set_forkserver_preload(["tests.studio_loaded"])


def chat_line(question: str, answer: str) -> dict[str, Any]:
    """A line of a chat of one question and one answer."""
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": said}


def classes(rows: int) -> list[dict[str, Any]]:
    """Questions with one of two answers."""
    texts = {"sports": "the striker scored", "politics": "the senate voted"}
    return [chat_line(f"{texts[LABELS[at % 2]]} {at}", LABELS[at % 2]) for at in range(rows)]


def talks(rows: int) -> list[dict[str, Any]]:
    """Questions with an answer each."""
    return [chat_line(f"the coach {at}", f"fans sang {at} times") for at in range(rows)]


def pairs(rows: int) -> list[dict[str, Any]]:
    """Questions with an answer that is preferred and one that is not."""
    return [
        {
            "input": {"messages": [{"role": "user", "content": f"give me coal {at}"}], "tools": []},
            "preferred_output": [{"role": "assistant", "content": "with pleasure"}],
            "non_preferred_output": [{"role": "assistant", "content": "no go away"}],
        }
        for at in range(rows)
    ]


def work(url: str, blobs: str, directory: Path, config: StudioConfig) -> None:
    """Be a worker that writes its log to the directory."""
    log = os.open(directory / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    start_log("text")
    run_worker(opened_place(url, blobs, directory, config))


@dataclass
class Studio:
    """One store, one directory, and what tests do with them."""

    url: str
    directory: Path
    config: StudioConfig
    blobs: str

    def __post_init__(self) -> None:
        self.place = self.opened("tests")

    @property
    def store(self) -> Store:
        """The store, as the tests see it."""
        return self.place.store

    def opened(self, owner: str, directory: Path | None = None) -> Place:
        """What another worker works with."""
        return opened_place(self.url, self.blobs, directory or self.directory, self.config, owner)

    def file(self, lines: Sequence[Any]) -> str:
        """Keep a file of these lines; its id."""
        text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return self.file_of(text)

    def file_of(self, text: bytes) -> str:
        """Keep a file of these bytes; its id."""
        file_id = new_id("file")
        with self.place.blobs.writing(f"files/{file_id}") as stream:
            stream.write(text)
        sha256 = sha256_bytes(text)
        kept = File(file_id, "default", 0, "a.jsonl", "fine-tune", len(text), sha256, f"files/{file_id}")
        return self.store.files.add(kept).id

    def job(self, training_file: str, **values: Any) -> Job:
        """Make a job of a few steps."""
        hyperparameters = {"n_epochs": 2, "batch_size": 2} | values.pop("hyperparameters", {})
        method = {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
        given = {"model": "tiny", "seed": 7, "method": method, **values}
        return self.store.jobs.add(Job(new_id("job"), "default", 0, training_file=training_file, **given))

    def found(self, job: Job) -> Job:
        """The job as it is now."""
        there = self.store.jobs.find(job.project, job.id)
        assert there is not None
        return there

    def messages(self, job: Job) -> list[str]:
        """What the job has told, oldest first."""
        return [event.message for event in self.store.jobs.events_since(job.id, 0)[0]]

    def validated(self, job: Job) -> Job:
        """Let a worker in this process validate all that waits."""
        worker = Worker(self.place)
        while worker.validate_next():
            pass
        return self.found(job)

    def trained(self, job: Job) -> Job:
        """Let a worker in this process train all that waits."""
        worker = Worker(self.place)
        self.validated(job)
        while worker.train_next():
            pass
        return self.found(job)

    def bytes_of(self, file_id: str) -> bytes:
        """What a file holds."""
        file = self.store.files.find("default", file_id)
        assert file is not None
        with self.place.blobs.open(file.blob) as stream:
            return stream.read()

    def model_path(self, job: Job) -> Path:
        """The bundle of a job that succeeded."""
        assert job.fine_tuned_model is not None
        model = self.store.models.find(job.project, job.fine_tuned_model)
        assert model is not None
        return self.place.blobs.directory(model.blob)

    def process(self) -> ForkServerProcess:
        """A worker as a process, forked off one that has loaded all that it needs."""
        place = (self.url, self.blobs, self.directory, self.config)
        made = WARM.Process(target=work, args=place, daemon=True)
        made.start()
        return made

    def wait(self, done: Callable[[], bool], seconds: float = 240.0) -> None:
        """Wait until it is so."""
        until = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < until, (self.directory / "worker.log").read_text()[-3000:]
            time.sleep(0.05)

    def ended(self, jobs: Sequence[Job]) -> bool:
        """Whether all of the jobs have ended."""
        return all(self.found(job).status in ENDED for job in jobs)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


def new_studio(url: str, directory: Path, base: Path, *, blobs: str | None = None, **values: Any) -> Studio:
    """A studio in an empty directory, with `tiny` as its base."""
    directory.mkdir(parents=True, exist_ok=True)
    config = StudioConfig(bases={"tiny": str(base)}, **values)
    write_config(directory / "studio.yaml", config)
    return Studio(url, directory, config, blobs or str(directory / "blobs"))


def weights(studio: Studio, job: Job) -> str:
    """The SHA-256 of the weights of a job's model."""
    return sha256_file(studio.model_path(studio.found(job)) / "model.safetensors")


def claimed(studio: Studio, job: Job, owner: str = "first") -> Claim:
    """Let `owner` hold a job that was just made."""
    studio.validated(job)
    claim = studio.store.queue.claim_to_train(owner)
    assert claim is not None
    assert claim.job.id == job.id
    return claim


def heard(studio: Studio, job: Job) -> None:
    """Return once a heartbeat that began after now is written."""
    before = studio.found(job).lease_until
    studio.wait(lambda: studio.found(job).lease_until != before)


def again(studio: Studio, job: Job) -> Job:
    """Make a job that is to end with the same weights."""
    return studio.job(job.training_file, validation_file=job.validation_file)


def rows_of(csv: bytes) -> list[list[str]]:
    """The cells of a result file."""
    return [line.split(",") for line in io.StringIO(csv.decode()).read().splitlines()]
