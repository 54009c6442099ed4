"""The lane of a worker in which jobs are trained: from a claim to whatever becomes of the job."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from tunesmith.api.exchange import log_fault
from tunesmith.errors import DataError, ResumeError, UserError
from tunesmith.files import read_json
from tunesmith.pipeline import train
from tunesmith.recipe import Recipe
from tunesmith.studio.store.queue import Claim, LeaseLost
from tunesmith.studio.types import Job, JobStatus
from tunesmith.studio.work.diary import Diary
from tunesmith.studio.work.heartbeat import Heartbeat, Stopped
from tunesmith.studio.work.listening import GoingOn, JobListener, tell_rest
from tunesmith.studio.work.material import recipe_of, task_of, written_down
from tunesmith.studio.work.place import Place
from tunesmith.studio.work.results import Results, drop_results, keep_results, write_results
from tunesmith.studio.work.resuming import begun_run, forget_work, mirrored, renamed_sources
from tunesmith.task import Task
from tunesmith.training.state import Interrupted

__all__ = ["train_claim"]

_TRAINED = "trained.json"
_DIRECTORIES = re.compile(r"/(?:[^\s/]+/)+")
# numbers that left the finite ones while training
_NOT_THE_FILES = ("bad-loss",)


def train_claim(place: Place, claim: Claim, ending: threading.Event) -> None:
    """Train a job to its end, or until its owner, the operator or another worker wants otherwise.

    Whatever goes wrong with the job is told by the job. Raises SQLAlchemyError where the database is lost;
    the lease then runs out, and the job is trained by whoever is next.
    """
    diary = Diary()
    try:
        with Heartbeat(place.store.queue, claim.lease, ending, diary) as beat:
            if claim.job.step == 0 and claim.job.attempts == 1:
                diary.tell("Fine-tuning job started")
            results = _trained(place, claim, diary, beat)
        _end_well(place, claim, diary, results)
    except LeaseLost:
        _leave(place, claim)
    except (Stopped, Interrupted):
        _stop(place, claim, diary, beat)
    except UserError as error:
        _fail(place, claim, diary, _error_of(error))
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 (one job's fault must not end the others')
        log_fault(claim.job.id, error)
        what = f"a fault of the studio's own ({type(error).__name__}); its log says where"
        _fail(place, claim, diary, {"code": "server_error", "message": what, "param": None})


def _trained(place: Place, claim: Claim, diary: Diary, beat: Heartbeat) -> Results:
    """Train, or go on, and put what came of it among the blobs."""
    job = claim.job
    beat.go_on()
    attempt = begun_run(place, job, claim.lease)
    run, trained = attempt / "run", attempt / "run" / _TRAINED
    with mirrored(place, job, run):
        learning = _prepared(place, job, attempt)
        if _is_done(run):
            tell_rest(diary, job.step, trained)
        else:
            _learn(learning, JobListener(diary, beat, job.step, trained), beat, place.config.kept_epochs)
    beat.go_on()
    results = keep_results(place, claim, run, trained, GoingOn(beat))
    if beat.in_vain:
        drop_results(place, results)
        raise Stopped
    return results


def _is_done(run: Path) -> bool:
    """Whether a worker died after all was trained and before it was kept."""
    about = run / "run.json"
    return about.is_file() and (run / _TRAINED).is_file() and bool(read_json(about).get("done"))


@dataclass(frozen=True, slots=True)
class _Learning:
    """What a run learns, and where."""

    files: Path
    validation: Path | None
    task: Task
    recipe: Recipe
    run: Path


def _prepared(place: Place, job: Job, attempt: Path) -> _Learning:
    """Write down what the engine reads, and let a run that was begun elsewhere know where it lies now."""
    run = attempt / "run"
    files, validation = written_down(place, job, attempt)
    recipe = recipe_of(place, job)
    sources = {"train": str(files.resolve())}
    sources |= {"test": str(validation.resolve())} if validation else {}
    renamed_sources(run, sources, recipe.base)
    return _Learning(files, validation, task_of(job, files), recipe, run)


def _learn(learning: _Learning, listener: JobListener, beat: Heartbeat, kept_epochs: int) -> None:
    run = learning.run

    def learn(resume: bool) -> None:
        train(
            learning.files,
            test=learning.validation,
            out=run,
            task=learning.task,
            recipe=learning.recipe,
            resume=resume,
            keep_epochs=kept_epochs,
            follow_test=True,
            listener=listener,
            should_stop=lambda: beat.must_stop,
        )

    try:
        learn((run / "run.json").is_file())
    except ResumeError:
        # of another version of the engine, or damaged beyond use: the job is trained, only later
        shutil.rmtree(run, ignore_errors=True)
        learn(False)


def _end_well(place: Place, claim: Claim, diary: Diary, results: Results) -> None:
    """All that came of the job in one transaction; or nothing, and the blobs are removed."""
    try:
        with place.store.queue.held(claim.lease) as held:
            cancelled = held.job.wanted == "cancel"
            if not cancelled:
                diary.write(held)
                write_results(held, results)
        if cancelled:
            raise Stopped
    except (LeaseLost, Stopped):
        drop_results(place, results)
        raise
    forget_work(place, claim.job.id)


def _stop(place: Place, claim: Claim, diary: Diary, beat: Heartbeat) -> None:
    """Leave the job as its owner wants it, or to another worker."""
    if beat.lost:
        _leave(place, claim)
        return
    status: JobStatus = "queued"
    try:
        with place.store.queue.held(claim.lease) as held:
            diary.write(held)
            match held.job.wanted:
                case "cancel":
                    status = "cancelled"
                    held.tell("Fine-tuning job cancelled")
                    held.release(status)
                case "pause":
                    held.tell("Fine-tuning job paused")
                    held.release("paused", attempts=0, estimated_finish=None)
                case "run":
                    held.tell("The worker ends, moving job back to queued state")
                    held.release("queued", attempts=max(0, held.job.attempts - 1), estimated_finish=None)
    except LeaseLost:
        _leave(place, claim)
    if status == "cancelled":
        forget_work(place, claim.job.id)


def _leave(place: Place, claim: Claim) -> None:
    """Another has the job: only what nobody else reads is removed."""
    attempt = place.attempt(claim.lease)
    shutil.rmtree(attempt, ignore_errors=True)
    with suppress(OSError):  # the other's attempt lies there
        attempt.parent.rmdir()


def _fail(place: Place, claim: Claim, diary: Diary, error: Mapping[str, Any]) -> None:
    try:
        with place.store.queue.held(claim.lease) as held:
            diary.write(held)
            held.tell(f"Fine-tuning job failed: {error['message']}", level="error")
            held.release("failed", error=dict(error))
    except LeaseLost:
        _leave(place, claim)
        return
    forget_work(place, claim.job.id)


def _error_of(error: UserError) -> dict[str, Any]:
    """The `error` of a job; paths of this machine are no business of its owner."""
    told = "; ".join(f"{each.what} ({each.where}) [{each.code}]" for each in error.problems)
    message = _DIRECTORIES.sub("", told)
    if isinstance(error, DataError) and error.problems[0].code not in _NOT_THE_FILES:
        return {"code": "invalid_training_file", "message": message, "param": "training_file"}
    return {"code": error.problems[0].code, "message": message, "param": None}
