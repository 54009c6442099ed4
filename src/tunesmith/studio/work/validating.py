"""The lane of a worker in which the files of new jobs are read through."""

from __future__ import annotations

import threading
from contextlib import suppress

from tunesmith.errors import StorageError
from tunesmith.studio.store.queue import Claim, Held, LeaseLost
from tunesmith.studio.types import File
from tunesmith.studio.validation.job import BadFile, BadJob, Validated, validated
from tunesmith.studio.work.heartbeat import Heartbeat, Stopped
from tunesmith.studio.work.keeping import kept_file
from tunesmith.studio.work.place import Place

__all__ = ["validate_claim"]


def validate_claim(place: Place, claim: Claim, ending: threading.Event) -> None:
    """Move a job to the queue, or fail it with every bad line; another's claim changes nothing."""
    try:
        with Heartbeat(place.store.queue, claim.lease, ending) as beat:
            outcome = _outcome(place, claim, beat)
        _write(place, claim, outcome)
    except LeaseLost:
        pass
    except Stopped:
        _give_back(place, claim)


def _outcome(place: Place, claim: Claim, beat: Heartbeat) -> Validated | BadJob:
    try:
        return validated(claim.job, place.store, place.blobs, place.config, beat.go_on)
    except BadJob as bad:
        return bad
    except StorageError as error:
        what = f"The files of the job cannot be read: {error.problems[0].what}."
        return BadJob([BadFile("training_file", what)])


def _write(place: Place, claim: Claim, outcome: Validated | BadJob) -> None:
    lists = _lists(place, claim, outcome) if isinstance(outcome, BadJob) else []
    with place.store.queue.held(claim.lease) as held:
        if isinstance(outcome, BadJob):
            _fail(held, outcome, lists)
            return
        for said in outcome.said:
            held.tell(said)
        held.tell("Files validated, moving job to queued state")
        held.release("queued", attempts=0, method=dict(outcome.method), form=outcome.form)


def _lists(place: Place, claim: Claim, bad: BadJob) -> list[File]:
    """A result file for each file with more faults than events tell: all of them."""
    found = []
    for file in bad.files:
        if file.reading is not None and file.reading.many:
            file.reading.listed.seek(0)
            name = f"{file.param}_faults.jsonl"
            found.append(kept_file(place, claim.job.project, name, file.reading.listed))
        if file.reading is not None:
            file.reading.close()
    return found


def _fail(held: Held, bad: BadJob, lists: list[File]) -> None:
    for file in bad.files:
        for fault in file.reading.first if file.reading else ():
            data = {"param": file.param, "line": fault.line, "code": fault.code, "fix": fault.fix}
            held.tell(f"{file.param}: {fault}", level="error", data=data)
        if file.reading is not None and file.reading.faults:
            faults, lines = file.reading.faults, file.reading.bad_lines
            held.tell(f"{file.param}: {faults:,} faults in {lines:,} lines", level="error")
    for each in lists:
        held.add(each)
    held.tell(bad.error["message"], level="error")
    held.release("failed", error=bad.error, result_files=[each.id for each in lists])


def _give_back(place: Place, claim: Claim) -> None:
    """Leave the job to another worker, as if it had not been claimed; unless it is another's already."""
    with suppress(LeaseLost), place.store.queue.held(claim.lease) as held:
        held.release("validating_files", attempts=max(0, held.job.attempts - 1))
