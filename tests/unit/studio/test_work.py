"""What a worker is made of, without a base and without a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tunesmith.errors import ConfigError
from tunesmith.studio.blobs import linked_tree
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.store import Store
from tunesmith.studio.store.queue import LeaseLost
from tunesmith.studio.types import Job, Lease
from tunesmith.studio.work.diary import Diary
from tunesmith.studio.work.heartbeat import Heartbeat, Stopped
from tunesmith.studio.work.material import recipe_of
from tunesmith.studio.work.worker import Worker, opened_place

NewJob = Callable[..., Job]


class _Queue:
    """A queue whose database is away for two beats, and whose lease then belongs to another."""

    lease_seconds = 0.01

    def __init__(self) -> None:
        self.asked, self.gone = 0, threading.Event()

    @contextmanager
    def held(self, _lease: Lease) -> Iterator[Any]:
        self.asked += 1
        if self.asked <= 2:
            raise OperationalError("SELECT", {}, Exception("away"))
        self.gone.set()
        raise LeaseLost
        yield


def test_a_heart_beats_on_while_the_database_is_away_and_stops_when_the_lease_is_lost() -> None:
    queue, diary = _Queue(), Diary()
    diary.tell("kept until it is written")
    lease = Lease("ftjob-1", "me", 1)
    with Heartbeat(queue, lease, threading.Event(), diary) as beat:  # type: ignore[arg-type]
        assert queue.gone.wait(60)
    assert queue.asked == 3
    assert beat.lost
    assert beat.in_vain
    with pytest.raises(Stopped):
        beat.go_on()


def test_what_a_diary_holds_is_written_once(store: Store, a_job: NewJob) -> None:
    job, diary = store.jobs.add(a_job()), Diary()
    claim = store.queue.claim_to_validate("me")
    assert claim is not None
    for number in range(3):
        diary.tell(f"event {number}")
    with pytest.raises(ZeroDivisionError), store.queue.held(claim.lease) as held:
        diary.write(held)
        raise ZeroDivisionError
    with store.queue.held(claim.lease) as held:
        written = diary.write(held)
    diary.tell("event 3")
    diary.forget(written)
    with store.queue.held(claim.lease) as held:
        assert diary.write(held) == 1
    told = [event.message for event in store.jobs.events_since(job.id, 0)[0]]
    assert told[2:] == ["event 0", "event 1", "event 2", "event 3"]


def test_what_a_dead_owner_held_is_free_at_once(store: Store, a_job: NewJob) -> None:
    store.jobs.add(a_job())
    assert store.queue.claim_to_validate("dead") is not None
    assert store.queue.claim_to_validate("me") is None
    assert store.queue.abandon("dead") == 1
    assert store.queue.claim_to_validate("me") is not None
    assert store.queue.abandon("dead") == 0


def place_with(tmp_path: Path, **recipe: Any) -> Any:
    config = StudioConfig(bases={"embedded": "embedded"}, recipe=recipe)
    return opened_place(f"sqlite:///{tmp_path}/studio.db", f"{tmp_path}/blobs", tmp_path, config)


def test_the_recipe_of_a_job_is_its_own_word_the_operators_and_the_engines(
    tmp_path: Path, a_job: NewJob
) -> None:
    numbers = {"n_epochs": 4, "batch_size": 3, "learning_rate_multiplier": 2.0}
    job = a_job(method={"type": "supervised", "supervised": {"hyperparameters": numbers}}, seed=2**40 + 5)
    place = place_with(tmp_path, method="lora", epochs=9, learning_rate=0.01, judged_rows=7)
    recipe = recipe_of(place, job)
    assert (recipe.epochs, recipe.batch_examples, recipe.batch_tokens) == (4, 3, None)
    assert (recipe.method, recipe.learning_rate, recipe.judged_rows) == ("lora", 0.02, 7)
    assert (recipe.seed, recipe.test_fraction, recipe.validation_fraction) == (5, 0.0, 0.0)
    plain = recipe_of(place_with(tmp_path), job)
    assert (plain.learning_rate, plain.learning_rate_factor, plain.rival_seconds) == (None, 2.0, 0.0)


def test_a_recipe_that_is_none_is_told_before_any_job_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        place_with(tmp_path, epoch=3)
    assert "`epochs`" in caught.value.problems[0].fix


def test_a_worker_ends_when_it_is_told_to(tmp_path: Path) -> None:
    place, ending = place_with(tmp_path), threading.Event()
    worker = threading.Thread(target=Worker(place, ending, idle_seconds=60).run)
    worker.start()
    ending.set()
    worker.join(60)
    assert not worker.is_alive()
    place.store.close()


def test_a_linked_tree_leaves_out_what_is_half_written(tmp_path: Path) -> None:
    source = tmp_path / "run"
    (source / "checkpoints" / "step-1").mkdir(parents=True)
    (source / "checkpoints" / ".step-2.0123abcd.tmp").mkdir()
    (source / "checkpoints" / "step-1" / "state.json").write_text("{}")
    (source / ".run.json.0123abcd.tmp").write_text("{")
    linked_tree(source, tmp_path / "other")
    found = sorted(str(path.relative_to(tmp_path / "other")) for path in (tmp_path / "other").rglob("*"))
    assert found == ["checkpoints", "checkpoints/step-1", "checkpoints/step-1/state.json"]
