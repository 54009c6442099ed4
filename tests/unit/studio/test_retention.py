"""What goes by its age, and what stays however old it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.studio.conftest import Clock
from tunesmith.studio.blobs import LocalBlobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.ids import checkpoint_model, model_name, new_id
from tunesmith.studio.janitor import remove_old
from tunesmith.studio.store import Store
from tunesmith.studio.types import Checkpoint, File, Job, Model

NewFile = Callable[..., File]
NewJob = Callable[..., Job]
DAY = 24 * 3600


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


def kept(store: Store, blobs: LocalBlobs, file: File) -> File:
    with blobs.writing(file.blob) as stream:
        stream.write(b"x")
    return store.files.add(file)


def succeeded(store: Store, blobs: LocalBlobs, a_file: NewFile, job: Job) -> Job:
    """A job that has ended with a model, one of an epoch, and a result file."""
    store.jobs.add(job)
    claim = store.queue.claim_to_validate("w")
    assert claim is not None
    assert claim.job.id == job.id
    name = model_name("embedded", job.project, None, job.id)
    result = a_file(purpose="fine-tune-results")
    with blobs.writing(result.blob) as stream:
        stream.write(b"x")
    with store.queue.held(claim.lease) as held:
        held.add(replace(result, created_at=int(held.now)))
        for step, model in ((5, checkpoint_model(name, 5)), (9, name)):
            blob = f"models/{job.id}-1-{step}"
            with blobs.writing(blob) as stream:
                stream.write(b"x")
            held.add(Model(model, job.project, int(held.now), job.id, "embedded", "writer", blob))
            held.add(Checkpoint(new_id("checkpoint"), job.id, int(held.now), step, model, {}))
        held.tell("done")
        held.release("succeeded", fine_tuned_model=name, result_files=[result.id])
    found = store.jobs.find(job.project, job.id)
    assert found is not None
    return found


def names(blobs: LocalBlobs) -> set[str]:
    return {name for name, _ in blobs.names()}


def models(store: Store) -> set[str]:
    return {model.id for model in store.models.all_of("default")}


def test_by_default_all_stays(
    store: Store, clock: Clock, blobs: LocalBlobs, a_file: NewFile, a_job: NewJob
) -> None:
    kept(store, blobs, a_file())
    succeeded(store, blobs, a_file, a_job())
    before = names(blobs)
    clock.seconds += 10_000 * DAY
    assert remove_old(store, blobs, StudioConfig()) == []
    assert names(blobs) == before


def test_old_files_go_but_not_those_that_are_needed_or_say_themselves_when(
    store: Store, clock: Clock, blobs: LocalBlobs, a_file: NewFile, a_job: NewJob
) -> None:
    config = StudioConfig(file_days=30)
    old, read, judged, own = (kept(store, blobs, a_file()) for _ in range(4))
    expiring = kept(store, blobs, a_file(expires_at=int(clock.seconds) + 99 * DAY))
    open_job = store.jobs.add(a_job(training_file=read.id, validation_file=judged.id))
    ended = store.jobs.add(a_job(training_file=own.id))
    store.jobs.ask("default", ended.id, "cancel")
    clock.seconds += 29 * DAY
    young = kept(store, blobs, a_file())
    assert remove_old(store, blobs, config) == []
    clock.seconds += 2 * DAY
    assert {value.id for value in remove_old(store, blobs, config)} == {old.id, own.id}
    assert names(blobs) == {file.blob for file in (read, judged, expiring, young)} == store.blobs()
    store.jobs.ask("default", open_job.id, "cancel")
    assert {value.id for value in remove_old(store, blobs, config)} == {read.id, judged.id}
    assert store.files.find("default", expiring.id) is not None


def test_an_old_job_goes_with_all_but_its_model(
    store: Store, clock: Clock, blobs: LocalBlobs, a_file: NewFile, a_job: NewJob
) -> None:
    config = StudioConfig(file_days=1, job_days=30)
    job = succeeded(store, blobs, a_file, a_job())
    clock.seconds += 29 * DAY
    waiting = store.jobs.add(a_job())
    assert remove_old(store, blobs, config) == []
    clock.seconds += 2 * DAY
    gone = {value.id for value in remove_old(store, blobs, config)}
    assert gone == {checkpoint_model(str(job.fine_tuned_model), 5), *job.result_files}
    assert store.jobs.find("default", job.id) is None
    assert store.jobs.events_since(job.id, 0)[0] == []
    assert store.jobs.checkpoints(job.id, after=None, limit=9).data == ()
    assert models(store) == {job.fine_tuned_model}
    assert names(blobs) == {f"models/{job.id}-1-9"} == store.blobs()
    assert store.jobs.find("default", waiting.id) is not None
    assert remove_old(store, blobs, config) == []
    # it is deleted as any other, and nothing is left
    assert store.models.remove("default", str(job.fine_tuned_model)) is not None


def test_a_job_waits_while_another_begins_with_a_model_of_its_epochs(
    store: Store, clock: Clock, blobs: LocalBlobs, a_file: NewFile, a_job: NewJob
) -> None:
    config = StudioConfig(job_days=30)
    job = succeeded(store, blobs, a_file, a_job())
    before = names(blobs)
    clock.seconds += 31 * DAY
    upon = store.jobs.add(a_job(model=checkpoint_model(str(job.fine_tuned_model), 5)))
    assert remove_old(store, blobs, config) == []
    assert names(blobs) == before
    assert store.jobs.find("default", job.id) == job
    store.jobs.ask("default", upon.id, "cancel")
    assert len(remove_old(store, blobs, config)) == 2
    assert store.jobs.find("default", job.id) is None
    # it ended only now
    assert store.jobs.find("default", upon.id) is not None


def test_what_nobody_kept_is_no_hindrance(
    store: Store, clock: Clock, blobs: LocalBlobs, a_file: NewFile, a_job: NewJob
) -> None:
    """Models and result files that their owner removed before."""
    job = succeeded(store, blobs, a_file, a_job())
    for model in models(store):
        store.models.remove("default", model)
    store.files.remove("default", job.result_files[0])
    clock.seconds += 31 * DAY
    assert remove_old(store, blobs, StudioConfig(job_days=30)) == []
    assert store.jobs.find("default", job.id) is None
