"""Jobs that are stopped, lost and taken over: nothing is lost or happens twice, and the weights agree."""

from __future__ import annotations

import shutil
import threading
import uuid
from pathlib import Path

import pytest

from tests.integration.studio.conftest import AtStep
from tests.studio import Studio, again, claimed, classes, heard, new_studio, talks, weights
from tunesmith.studio.types import Job
from tunesmith.studio.work.diary import Diary
from tunesmith.studio.work.listening import JobListener
from tunesmith.studio.work.training import train_claim
from tunesmith.training.state import Progress


@pytest.fixture
def unhurried(studio: Studio) -> tuple[Job, str]:
    """A job that nobody disturbs, and its weights; others with the same file and seed must have the same."""
    job = studio.trained(studio.job(studio.file(talks(12)), validation_file=studio.file(classes(3))))
    assert job.status == "succeeded", job.error
    return job, weights(studio, job)


def test_a_paused_job_ends_as_one_that_was_never_paused(
    studio: Studio, unhurried: tuple[Job, str], at_step: AtStep
) -> None:
    job = again(studio, unhurried[0])

    def pause() -> None:
        studio.store.jobs.ask("default", job.id, "pause")
        heard(studio, job)

    at_step(5, pause)
    paused = studio.trained(job)
    assert paused.status == "paused"
    assert (paused.step, paused.lease_owner) == (5, None)
    assert studio.store.queue.claim_to_train("other") is None
    studio.store.jobs.ask("default", job.id, "resume")
    assert studio.trained(job).status == "succeeded"
    assert weights(studio, job) == unhurried[1]
    steps = [message.split("/")[0] for message in studio.messages(job) if message.startswith("Step ")]
    assert steps == [f"Step {step}" for step in range(1, 13)]
    assert studio.bytes_of(studio.found(job).result_files[0]) == studio.bytes_of(unhurried[0].result_files[0])
    assert studio.found(job).trained_tokens == unhurried[0].trained_tokens


def test_a_job_goes_on_on_another_machine(
    tmp_path: Path, small_base: Path, at_step: AtStep, bucket: str
) -> None:
    blobs = f"{bucket}/{uuid.uuid4().hex}"
    studio = new_studio(f"sqlite:///{tmp_path}/studio.db", tmp_path / "one", small_base, blobs=blobs)
    plain = studio.trained(studio.job(studio.file(talks(12))))
    job, ending = again(studio, plain), threading.Event()
    at_step(5, ending.set)
    train_claim(studio.place, claimed(studio, job), ending)
    assert studio.found(job).status == "queued"
    assert studio.found(job).attempts == 0
    assert any(name.startswith(f"work/{job.id}-step-") for name, _ in studio.place.blobs.names())
    shutil.rmtree(studio.directory / "work")
    elsewhere = studio.opened("another", tmp_path / "two")
    claim = elsewhere.store.queue.claim_to_train("another")
    assert claim is not None
    train_claim(elsewhere, claim, threading.Event())
    assert studio.found(job).status == "succeeded"
    assert weights(studio, job) == weights(studio, plain)
    assert not [name for name, _ in studio.place.blobs.names() if name.startswith("work/")]
    elsewhere.store.close()
    studio.close()


def test_a_cancelled_job_leaves_nothing(studio: Studio, at_step: AtStep) -> None:
    job = studio.job(studio.file(talks(12)))

    def cancel() -> None:
        studio.store.jobs.ask("default", job.id, "cancel")
        heard(studio, job)

    at_step(3, cancel)
    done = studio.trained(job)
    assert (done.status, done.fine_tuned_model, done.result_files) == ("cancelled", None, ())
    assert studio.messages(job)[-1] == "Fine-tuning job cancelled"
    assert not list((studio.directory / "work").iterdir())
    assert studio.store.models.all_of("default") == []


def test_a_worker_that_was_too_late_changes_nothing(
    studio: Studio, unhurried: tuple[Job, str], at_step: AtStep
) -> None:
    """A second worker takes the job over, and ends it, while the first one is at its fifth step."""
    job = again(studio, unhurried[0])
    late = claimed(studio, job, "late")
    seen: list[list[str]] = []

    def take_over() -> None:
        assert studio.store.queue.abandon("late") == 1
        claim = studio.store.queue.claim_to_train("second")
        assert claim is not None
        train_claim(studio.opened("second"), claim, threading.Event())
        assert studio.found(job).status == "succeeded"
        seen.append(studio.messages(job))

    at_step(5, take_over)
    train_claim(studio.opened("late"), late, threading.Event())
    assert [studio.messages(job)] == seen
    assert weights(studio, job) == unhurried[1]
    kept = {name for name, _ in studio.place.blobs.names() if name.startswith(f"models/{job.id}")}
    assert kept <= studio.store.blobs()
    assert not list((studio.directory / "work").iterdir())


def test_a_worker_that_died_while_it_took_over_hides_nothing(
    studio: Studio, unhurried: tuple[Job, str], at_step: AtStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, ending, steps = again(studio, unhurried[0]), threading.Event(), list[int]()
    at_step(5, ending.set)
    train_claim(studio.place, claimed(studio, job), ending)
    claim = studio.store.queue.claim_to_train("dead")
    assert claim is not None

    class Died(BaseException):
        pass

    def dies(source: Path, target: Path) -> None:
        shutil.copyfile(source / "run.json", target / "run.json")
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.studio.work.resuming.linked_tree", dies)
        with pytest.raises(Died):
            train_claim(studio.place, claim, threading.Event())
    studio.store.queue.abandon("dead")
    training = JobListener.training

    def noted(listener: JobListener, progress: Progress) -> None:
        steps.append(progress.step)
        training(listener, progress)

    monkeypatch.setattr(JobListener, "training", noted)
    assert studio.trained(job).status == "succeeded"
    assert min(steps) == 6
    assert weights(studio, job) == unhurried[1]


@pytest.mark.parametrize("late", ["work.listening.JobListener.trained", "work.training.keep_results"])
def test_a_worker_that_died_after_training_leaves_only_the_keeping(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    job, steps = studio.job(studio.file(talks(10))), list[int]()
    claim = claimed(studio, job, "dead")

    class Died(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(f"tunesmith.studio.{late}", dies)
        patched.setattr(Diary, "write", lambda *_: 0)
        with pytest.raises(Died):
            train_claim(studio.place, claim, threading.Event())
    studio.store.queue.abandon("dead")
    with monkeypatch.context() as patched:
        patched.setattr(JobListener, "training", lambda _, progress: steps.append(progress.step))
        assert studio.trained(job).status == "succeeded"
    assert not steps
    # what the dead one had learned and not told yet is told all the same
    told = [message.split(":")[0] for message in studio.messages(job) if message.startswith("Step ")]
    assert told == [f"Step {step}/10" for step in range(1, 11)]
    assert studio.found(job).step == 10
