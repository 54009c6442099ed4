"""Workers as processes: of one machine under a supervisor, and of several over PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.postgres import new_database
from tests.studio import Studio, new_studio, talks
from tunesmith.studio.supervise import Share, Workers, shares, worker_command
from tunesmith.studio.types import Job
from tunesmith.studio.work.janitor import tidy

_HOLDS = """
import sys
from tunesmith.studio.store import Store
from tunesmith.studio.supervise import Share, Workers
store = Store(sys.argv[1])
workers = Workers(sys.argv[2:], {}, [Share(1)], store)
workers.start()
while not workers.pids:
    pass
print(workers.pids[0], flush=True)
sys.stdin.read()
"""
# what stands for a worker where only its process matters
_SLEEPS = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@pytest.fixture
def on_postgres(tmp_path: Path, small_base: Path, postgres: str) -> Iterator[Studio]:
    url = new_database(postgres)
    made = new_studio(url, tmp_path / "studio", small_base, lease_seconds=1.0, max_attempts=50)
    yield made
    made.close()


def test_three_workers_of_which_one_is_killed_and_one_frozen_lose_nothing(on_postgres: Studio) -> None:
    studio = on_postgres
    training_file = studio.file(talks(10))
    jobs = [studio.job(training_file) for _ in range(6)]
    killed, frozen, steady = (studio.process() for _ in range(3))
    assert frozen.pid is not None
    studio.wait(lambda: _holds_a_step(studio, jobs, frozen.pid))
    os.kill(frozen.pid, signal.SIGSTOP)
    held = [job for job in map(studio.found, jobs) if f"-{frozen.pid}-" in (job.lease_owner or "")]
    studio.wait(lambda: _holds_a_step(studio, jobs, killed.pid) or studio.ended(jobs))
    killed.kill()
    studio.wait(lambda: studio.ended(jobs))
    told = {job.id: studio.messages(job) for job in jobs}
    os.kill(frozen.pid, signal.SIGCONT)
    frozen.terminate()
    steady.terminate()
    for worker in (killed, frozen, steady):
        worker.join()
    assert (frozen.exitcode, steady.exitcode) == (0, 0)
    assert held, "the frozen worker was at work"
    for job in jobs:
        assert studio.found(job).status == "succeeded"
        # what it told when it went on again was refused
        assert studio.messages(job) == told[job.id]
        assert len([each for each in told[job.id] if each.startswith("New fine-tuned model")]) == 1
        steps = [message for message in told[job.id] if message.startswith("Step ")]
        # what a killed worker had not told yet is not told again; nothing is told twice
        assert 0 < len(steps) == len(set(steps)) <= 10
    models = [model.id for model in studio.store.models.all_of("default")]
    assert sorted(name for name in models if ":ckpt-" not in name) == sorted(
        str(studio.found(job).fine_tuned_model) for job in jobs
    )


def _holds_a_step(studio: Studio, jobs: list[Job], pid: int | None) -> bool:
    return any(job.step and f"-{pid}-" in (job.lease_owner or "") for job in map(studio.found, jobs))


def test_a_supervised_worker_is_replaced_and_what_it_held_is_free_at_once(studio: Studio) -> None:
    job = studio.validated(studio.job(studio.file(talks(12)), hyperparameters={"n_epochs": 20}))
    command = worker_command(studio.blobs, studio.directory, None)
    environment = {"TUNESMITH_STORE": studio.url}
    workers = Workers(command, environment, [Share(1)], studio.store, pause=lambda _: 0.0)
    workers.start()
    try:
        studio.wait(lambda: studio.found(job).step > 0)
        owner, [pid] = studio.found(job).lease_owner, workers.pids
        os.kill(pid, signal.SIGKILL)
        # long before its lease of thirty seconds is over
        studio.wait(lambda: (studio.found(job).lease_until or 0) <= studio.store.now(), seconds=20)
        assert studio.found(job).lease_owner == owner
        studio.wait(lambda: bool(workers.pids) and workers.pids != [pid])
    finally:
        workers.stop()
    assert workers.pids == []
    assert studio.trained(job).status == "succeeded"


def test_workers_end_when_whoever_started_them_dies(studio: Studio) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, studio.url, *_SLEEPS], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        child = psutil.Process(int(holder.stdout.readline()))
        holder.kill()
    child.wait(60)


def test_the_machine_is_shared_out() -> None:
    assert shares(2, 8, []) == [Share(4), Share(4)]
    assert shares(3, 2, [0, 1]) == [Share(1, 0), Share(1, 1), Share(1, 0)]
    assert Share(4, 1).environment() == {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "1"}


def test_the_janitor_ends_what_gets_nowhere_and_removes_what_nobody_needs(
    tmp_path: Path, small_base: Path
) -> None:
    url = f"sqlite:///{tmp_path}/studio.db"
    studio = new_studio(url, tmp_path / "studio", small_base, max_attempts=1)
    worn, fresh = (studio.validated(studio.job(studio.file(talks(10)))) for _ in range(2))
    claim = studio.store.queue.claim_to_train("gone")
    assert claim is not None
    for job in (worn, fresh):
        (studio.place.work / job.id).mkdir()
    (studio.place.work / "ftjob-of-nobody").mkdir()
    old, new = (studio.directory / "blobs" / "models" / name for name in ("old", "new"))
    for path in (old, new):
        path.mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    studio.store.queue.abandon("gone")
    tidy(studio.place)
    assert studio.found(worn).error == {
        "code": "worker_lost",
        "message": studio.found(worn).error["message"],  # type: ignore[index]
        "param": None,
    }
    assert [path.name for path in studio.place.work.iterdir()] == [fresh.id]
    assert (old.exists(), new.exists()) == (False, True)
    studio.close()
