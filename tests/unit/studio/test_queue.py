"""The queue: one owner at a time, nobody forgotten, and no word of whoever was too late."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from tests.postgres import new_database
from tests.unit.studio.conftest import Clock
from tunesmith.studio.store import Store
from tunesmith.studio.store.database import Database
from tunesmith.studio.store.job_rows import WrongState
from tunesmith.studio.store.queue import Claim, LeaseLost
from tunesmith.studio.types import Job

NewJob = Callable[..., Job]


def queued(store: Store, job: Job) -> Job:
    store.jobs.add(job)
    claim = store.queue.claim_to_validate("validator")
    assert claim is not None
    assert claim.job.id == job.id
    with store.queue.held(claim.lease) as held:
        held.release("queued", attempts=0)
    return found(store, job)


def found(store: Store, job: Job) -> Job:
    there = store.jobs.find(job.project, job.id)
    assert there is not None
    return there


def training(store: Store, owner: str = "worker") -> Claim:
    claim = store.queue.claim_to_train(owner)
    assert claim is not None
    return claim


def messages(store: Store, job: Job) -> list[str]:
    return [event.message for event in reversed(store.jobs.events(job.id, after=None, limit=100).data)]


def test_a_job_goes_its_way(store: Store, a_job: NewJob) -> None:
    job = queued(store, a_job())
    assert job.status == "queued"
    claim = training(store)
    assert (claim.job.id, claim.job.status) == (job.id, "running")
    with store.queue.held(claim.lease) as held:
        held.release("succeeded", fine_tuned_model="ft:x", trained_tokens=12)
    done = found(store, job)
    assert (done.status, done.fine_tuned_model, done.trained_tokens) == ("succeeded", "ft:x", 12)
    assert done.finished_at == 1_800_000_000
    assert done.lease_owner is None


def test_nobody_else_gets_a_job_that_is_held(store: Store, a_job: NewJob) -> None:
    queued(store, a_job())
    training(store)
    assert store.queue.claim_to_train("other") is None


def test_a_job_of_a_silent_worker_goes_to_another(store: Store, clock: Clock, a_job: NewJob) -> None:
    job = queued(store, a_job())
    first = training(store, "first")
    clock.seconds += 29
    store.queue.renew(first.lease)
    clock.seconds += 29
    assert store.queue.claim_to_train("second") is None
    clock.seconds += 1
    second = training(store, "second")
    assert second.job.id == job.id
    assert second.lease.fence > first.lease.fence


def test_what_a_frozen_worker_writes_is_refused(store: Store, clock: Clock, a_job: NewJob) -> None:
    job = queued(store, a_job())
    frozen = training(store, "frozen")
    clock.seconds += 60
    second = training(store, "second")
    with pytest.raises(LeaseLost), store.queue.held(frozen.lease) as held:
        held.tell("I am still here")
    with pytest.raises(LeaseLost):
        store.queue.renew(frozen.lease)
    with store.queue.held(second.lease) as held:
        held.release("succeeded")
    with pytest.raises(LeaseLost), store.queue.held(frozen.lease) as held:
        held.release("failed")
    assert found(store, job).status == "succeeded"
    assert "I am still here" not in messages(store, job)


def test_a_worker_that_was_only_late_goes_on(store: Store, clock: Clock, a_job: NewJob) -> None:
    queued(store, a_job())
    claim = training(store)
    clock.seconds += 300
    assert store.queue.renew(claim.lease) == "run"
    assert store.queue.claim_to_train("other") is None


def test_all_that_is_written_together_happens_or_nothing(store: Store, a_job: NewJob) -> None:
    job = queued(store, a_job())
    claim = training(store)
    with pytest.raises(ZeroDivisionError), store.queue.held(claim.lease) as held:
        held.tell("half")
        held.release("succeeded")
        raise ZeroDivisionError
    assert found(store, job).status == "running"
    assert "half" not in messages(store, job)


def test_a_job_that_gets_nowhere_is_given_up(store: Store, clock: Clock, a_job: NewJob) -> None:
    job = queued(store, a_job())
    for _ in range(3):
        training(store)
        clock.seconds += 60
    assert store.queue.claim_to_train("worker") is None
    (given_up,) = store.queue.give_up()
    assert given_up.id == job.id
    failed = found(store, job)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error["code"] == "worker_lost"
    assert store.queue.give_up() == []


def test_a_job_that_gets_further_is_begun_as_often_as_it_needs(
    store: Store, clock: Clock, a_job: NewJob
) -> None:
    queued(store, a_job())
    for step in range(1, 10):
        claim = training(store)
        with store.queue.held(claim.lease) as held:
            held.progress(step, estimated_finish=None)
        clock.seconds += 60
    assert store.queue.give_up() == []


def test_projects_take_turns(store: Store, clock: Clock, a_job: NewJob) -> None:
    many = [queued(store, a_job("many")) for _ in range(3)]
    one = queued(store, a_job("one"))
    order = []
    for _ in range(4):
        claim = training(store)
        order.append(claim.job.id)
        clock.seconds += 1
        with store.queue.held(claim.lease) as held:
            held.release("succeeded")
    assert order == [many[0].id, one.id, many[1].id, many[2].id]


def test_the_project_with_the_fewest_at_work_is_next(store: Store, a_job: NewJob) -> None:
    for _ in range(3):
        queued(store, a_job("many"))
    training(store, "a")
    queued(store, a_job("one"))
    assert training(store, "b").job.project == "one"


@pytest.mark.parametrize("act", ["cancel", "pause"])
def test_a_job_at_work_is_told_to_stop(store: Store, a_job: NewJob, act: str) -> None:
    job = queued(store, a_job())
    claim = training(store)
    told = store.jobs.ask(job.project, job.id, act)  # type: ignore[arg-type]
    assert told is not None
    assert (told.status, told.wanted) == ("running", act)
    assert store.queue.renew(claim.lease) == act


def test_a_pause_can_be_taken_back_and_a_cancel_not(store: Store, a_job: NewJob) -> None:
    job = queued(store, a_job())
    claim = training(store)
    store.jobs.ask(job.project, job.id, "pause")
    store.jobs.ask(job.project, job.id, "resume")
    assert store.queue.renew(claim.lease) == "run"
    store.jobs.ask(job.project, job.id, "cancel")
    store.jobs.ask(job.project, job.id, "pause")
    assert store.queue.renew(claim.lease) == "cancel"
    with pytest.raises(WrongState):
        store.jobs.ask(job.project, job.id, "resume")


def test_a_queued_job_is_paused_resumed_and_cancelled_at_once(store: Store, a_job: NewJob) -> None:
    job = queued(store, a_job())
    for act, status in (("pause", "paused"), ("resume", "queued"), ("pause", "paused")):
        told = store.jobs.ask(job.project, job.id, act)  # type: ignore[arg-type]
        assert told is not None
        assert told.status == status
    assert store.queue.claim_to_train("worker") is None
    told = store.jobs.ask(job.project, job.id, "cancel")
    assert told is not None
    assert told.status == "cancelled"
    assert messages(store, job)[-1] == "Fine-tuning job cancelled"


def test_cancelling_while_files_are_validated_stops_the_validator(store: Store, a_job: NewJob) -> None:
    job = store.jobs.add(a_job())
    claim = store.queue.claim_to_validate("validator")
    assert claim is not None
    store.jobs.ask(job.project, job.id, "cancel")
    with pytest.raises(LeaseLost), store.queue.held(claim.lease) as held:
        held.release("queued")
    assert found(store, job).status == "cancelled"


def test_a_job_whose_worker_is_gone_is_cancelled_at_once(store: Store, clock: Clock, a_job: NewJob) -> None:
    job = queued(store, a_job())
    claim = training(store)
    clock.seconds += 60
    told = store.jobs.ask(job.project, job.id, "cancel")
    assert told is not None
    assert told.status == "cancelled"
    with pytest.raises(LeaseLost):
        store.queue.renew(claim.lease)


def test_an_ended_job_stays_as_it_is(store: Store, a_job: NewJob) -> None:
    job = queued(store, a_job())
    with store.queue.held(training(store).lease) as held:
        held.release("failed", error={"code": "x", "message": "y", "param": None})
    for act in ("cancel", "pause", "resume"):
        with pytest.raises(WrongState):
            store.jobs.ask(job.project, job.id, act)


def test_many_threads_claim_each_job_once(store: Store, a_job: NewJob) -> None:
    jobs = [queued(store, a_job()) for _ in range(20)]
    claimed: list[str] = []

    def work(owner: str) -> None:
        while (claim := store.queue.claim_to_train(owner)) is not None:
            claimed.append(claim.job.id)

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(job.id for job in jobs)


def test_postgresql_ends_what_a_frozen_worker_was_writing(postgres: str) -> None:
    database = Database(new_database(postgres))
    with database.reading() as connection:
        told = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert told == "1min"
    database.close()
