"""/v1/fine_tuning/jobs: jobs are made, listed, watched and steered."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from tunesmith.api.openapi import EVERYWHERE, WITH_BODY, answered_with, body_of, queries_of, responses
from tunesmith.api.refusal import Refusal
from tunesmith.studio.asked import JobRequest
from tunesmith.studio.context import Studio, on_disk, project_of, studio_of
from tunesmith.studio.event_stream import EventStream
from tunesmith.studio.ids import is_id, is_tuned, new_id
from tunesmith.studio.reading import (
    AFTER,
    LIMIT,
    canonical,
    fingerprint_of,
    is_again,
    query_of,
    read_body,
    window_of,
)
from tunesmith.studio.refusing import store_refusals
from tunesmith.studio.store.job_rows import Act, WrongState
from tunesmith.studio.told import CheckpointObject, EventObject, JobObject, Listed, listed
from tunesmith.studio.types import Job

__all__ = [
    "add_job",
    "add_job_routes",
    "cancel_job",
    "checkpoints",
    "events",
    "found_job",
    "job",
    "jobs",
    "pause_job",
    "resume_job",
]

_JOBS = "/v1/fine_tuning/jobs"
_METADATA = "metadata["
_LONGEST_SEED = 2**31
_EVENT_STREAM = {"text/event-stream": {"type": "string"}}


def add_job_routes(app: FastAPI) -> None:
    """Add the routes of jobs."""
    app.add_api_route(
        _JOBS,
        add_job,
        methods=["POST"],
        response_model=JobObject,
        responses=responses(*EVERYWHERE, *WITH_BODY, "not-for-training", "key-reused", "too-many-jobs"),
        openapi_extra=body_of({"application/json": JobRequest}),
    )
    listing = ("unknown-field", "bad-field")
    asked = responses(*EVERYWHERE, *listing)
    window = {"after": AFTER, "limit": LIMIT}
    metadata = "Only jobs with it, as `metadata[name]=value`; `null`: only jobs without any."
    app.add_api_route(
        _JOBS,
        jobs,
        response_model=Listed[JobObject],
        responses=asked,
        openapi_extra=queries_of(**window, metadata=metadata),
    )
    one, told = f"{_JOBS}/{{job_id}}", responses(*EVERYWHERE, "no-such-job")
    app.add_api_route(one, job, response_model=JobObject, responses=told)
    steered = responses(*EVERYWHERE, "foreign-origin", "no-such-job", "wrong-state")
    for name, endpoint in {"cancel": cancel_job, "pause": pause_job, "resume": resume_job}.items():
        app.add_api_route(
            f"{one}/{name}", endpoint, methods=["POST"], response_model=JobObject, responses=steered
        )
    watched = responses(*EVERYWHERE, *listing, "no-such-job")
    streamed = watched | answered_with(_EVENT_STREAM) | responses("busy", "draining")
    app.add_api_route(
        f"{one}/events",
        events,
        response_model=Listed[EventObject],
        responses=streamed,
        openapi_extra=queries_of(**window, stream="`true`: all events as they are told."),
    )
    app.add_api_route(
        f"{one}/checkpoints",
        checkpoints,
        response_model=Listed[CheckpointObject],
        responses=watched,
        openapi_extra=queries_of(**window),
    )


async def add_job(request: Request) -> JobObject:
    """Make a job; its files are validated first, then it waits for a worker."""
    studio, project = studio_of(request), project_of(request)
    asked, values = await read_body(request, JobRequest)
    _check_method(asked)
    same = fingerprint_of(request, canonical(values))
    # one that comes again while the first is at work hears what that has made
    async with studio.turns.turn(f"{project} {same.sha256}"):
        await _check_inputs(request, asked)
        made = _made(asked, project)
        most = studio.config.project_jobs
        with store_refusals(_too_many(most)):
            kept = await on_disk(studio.store.jobs.add, made, same, most_open=most, with_all=True)
    return JobObject.of(kept)


def _made(asked: JobRequest, project: str) -> Job:
    return Job(
        id=new_id("job"),
        project=project,
        created_at=0,
        model=asked.model,
        training_file=asked.training_file,
        validation_file=asked.validation_file,
        seed=secrets.randbelow(_LONGEST_SEED) if asked.seed is None else asked.seed,
        method=asked.resolved_method(),
        suffix=asked.suffix,
        metadata=asked.metadata,
    )


def _check_method(asked: JobRequest) -> None:
    if asked.method is None:
        return
    if asked.hyperparameters is not None:
        message = "`hyperparameters` stand in `method` or on their own, and not in both places"
        raise Refusal("bad-field", message, param="hyperparameters")
    other = "dpo" if asked.method.type == "supervised" else "supervised"
    if getattr(asked.method, other) is not None:
        message = f"`method.{other}` does not belong to the method {asked.method.type}"
        raise Refusal("bad-field", message, param=f"method.{other}")


async def _check_inputs(request: Request, asked: JobRequest) -> None:
    studio, project = studio_of(request), project_of(request)
    await _check_model(studio, project, asked.model)
    for field in ("training_file", "validation_file"):
        file_id = getattr(asked, field)
        if file_id is None:
            continue
        found = await on_disk(studio.store.files.find, project, file_id) if is_id("file", file_id) else None
        if found is None:
            raise Refusal("not-for-training", f"`{field}` names no file of yours", param=field)
        if found.purpose != "fine-tune":
            message = f"`{field}` has the purpose {found.purpose}; files of training need `fine-tune`"
            raise Refusal("not-for-training", message, param=field)


async def _check_model(studio: Studio, project: str, model: str) -> None:
    if model in studio.config.bases:
        return
    if not is_tuned(model) or await on_disk(studio.store.models.find, project, model) is None:
        known = ", ".join(studio.config.bases)
        message = f"`model` names no base of this studio and no model of yours; the bases are: {known}"
        raise Refusal("not-for-training", message, param="model")


def _too_many(most: int) -> Refusal:
    message = f"{most:,} jobs of your project have not ended; wait for one, or cancel it"
    return Refusal("too-many-jobs", message, headers={"Retry-After": "30"})


async def jobs(request: Request) -> Listed[JobObject]:
    """List the jobs, the newest first; `metadata[name]=value` keeps those that have it."""
    named = [name for name in request.query_params if name.startswith(_METADATA) and name.endswith("]")]
    query = query_of(request, ("after", "limit", "metadata", *named))
    window = window_of(query, default=20)
    with store_refusals():
        page = await on_disk(
            studio_of(request).store.jobs.page,
            project_of(request),
            metadata=_filter(query),
            after=window.after,
            limit=window.limit,
        )
    return listed(page, JobObject.of)


def _filter(query: Mapping[str, str]) -> dict[str, str] | None:
    """The metadata that jobs must have; None where they must have none."""
    found = {name[len(_METADATA) : -1]: value for name, value in query.items() if name.startswith(_METADATA)}
    if "metadata" in query:
        if query["metadata"] != "null" or found:
            message = "`metadata` is null on its own, or `metadata[name]=value`"
            raise Refusal("bad-field", message, param="metadata")
        return None
    if any("\0" in text for pair in found.items() for text in pair):
        raise Refusal("bad-field", "`metadata` must not hold the character NUL", param="metadata")
    return found


async def job(request: Request, job_id: str) -> JobObject:
    """Tell of one job."""
    return JobObject.of(await found_job(request, job_id))


async def cancel_job(request: Request, job_id: str) -> JobObject:
    """End a job; one at work ends at its next step."""
    return await _ask(request, job_id, "cancel")


async def pause_job(request: Request, job_id: str) -> JobObject:
    """Let a job stop at its next step, so that it can go on later."""
    return await _ask(request, job_id, "pause")


async def resume_job(request: Request, job_id: str) -> JobObject:
    """Let a job that was paused go on, as if it had not been."""
    return await _ask(request, job_id, "resume")


async def _ask(request: Request, job_id: str, act: Act) -> JobObject:
    found = await found_job(request, job_id)
    store = studio_of(request).store
    try:
        with store_refusals():
            asked = await on_disk(store.jobs.ask, project_of(request), job_id, act)
    except Refusal as refusal:
        # what was asked for already is no fault of a client that had no answer to that
        if not (is_again(request) and isinstance(refusal.__context__, WrongState) and _is_so(found, act)):
            raise
        asked = found
    return JobObject.of(asked or await found_job(request, job_id))


def _is_so(job: Job, act: Act) -> bool:
    match act:
        case "cancel":
            return job.status == "cancelled"
        case "pause":
            return job.status == "paused"
        case "resume":
            return job.status in ("queued", "running")


async def events(request: Request, job_id: str) -> Response | Listed[EventObject]:
    """List what a job tells, the newest first; with `stream=true`, all of it as it is told."""
    found = await found_job(request, job_id)
    query = query_of(request, ("after", "limit", "stream"))
    studio = studio_of(request)
    if query.get("stream", "false").lower() == "true":
        return await EventStream.of(request, studio, found)
    window = window_of(query, default=20)
    with store_refusals():
        page = await on_disk(studio.store.jobs.events, found.id, after=window.after, limit=window.limit)
    return listed(page, EventObject.of)


async def checkpoints(request: Request, job_id: str) -> Listed[CheckpointObject]:
    """List the models that a job kept of its epochs, the newest first."""
    found = await found_job(request, job_id)
    window = window_of(query_of(request, ("after", "limit")), default=10)
    store = studio_of(request).store
    with store_refusals():
        page = await on_disk(store.jobs.checkpoints, found.id, after=window.after, limit=window.limit)
    return listed(page, CheckpointObject.of)


async def found_job(request: Request, job_id: str) -> Job:
    """A job of the caller's project; raises Refusal `no-such-job`."""
    found = None
    if is_id("job", job_id):
        found = await on_disk(studio_of(request).store.jobs.find, project_of(request), job_id)
    if found is None:
        raise Refusal("no-such-job", "there is no job with this id", param="fine_tuning_job_id")
    return found
