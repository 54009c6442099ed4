"""What the studio tells of files, jobs and models, as models; the OpenAPI schema is made from these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar

from tunesmith.api.schemas import Wire
from tunesmith.studio.types import (
    Checkpoint,
    Event,
    File,
    Job,
    JobStatus,
    Level,
    Model,
    ModelForm,
    Page,
    Purpose,
    Upload,
)
from tunesmith.studio.types import UploadStatus as Status

__all__ = [
    "CheckpointObject",
    "Deleted",
    "EventObject",
    "FileObject",
    "Identified",
    "JobError",
    "JobObject",
    "Listed",
    "ModelObject",
    "Models",
    "PartObject",
    "UploadObject",
    "listed",
]

Item = TypeVar("Item", bound="Identified")
Value = TypeVar("Value")


class Identified(Wire):
    """Something with an id."""

    id: str
    """Its id."""

    created_at: int
    """When it was made, in seconds since 1970."""


class FileObject(Identified):
    """A file."""

    object: Literal["file"] = "file"
    bytes: int
    """How large it is."""
    filename: str
    """What the caller calls it."""
    purpose: Purpose
    """What it is for."""
    status: Literal["processed"] = "processed"
    expires_at: int | None
    """When it is removed by itself, in seconds since 1970."""
    status_details: None = None

    @classmethod
    def of(cls, file: File) -> FileObject:
        """The file as it is told."""
        return cls(
            id=file.id,
            created_at=file.created_at,
            bytes=file.bytes,
            filename=file.filename,
            purpose=file.purpose,
            expires_at=file.expires_at,
        )


class UploadObject(Identified):
    """A file that comes in parts."""

    object: Literal["upload"] = "upload"
    bytes: int
    """How many the parts will have together."""
    expires_at: int
    """When it ends by itself, in seconds since 1970."""
    filename: str
    """What the caller calls it."""
    purpose: str
    """What it is for."""
    status: Status
    """How far it is."""
    file: FileObject | None
    """What came of it."""

    @classmethod
    def of(cls, upload: Upload, file: File | None) -> UploadObject:
        """The upload as it is told."""
        return cls(
            id=upload.id,
            created_at=upload.created_at,
            bytes=upload.bytes,
            expires_at=upload.expires_at,
            filename=upload.filename,
            purpose=upload.purpose,
            status=upload.status,
            file=None if file is None else FileObject.of(file),
        )


class PartObject(Identified):
    """A part of an upload."""

    object: Literal["upload.part"] = "upload.part"
    upload_id: str
    """Of which upload it is."""


class JobError(Wire):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


class JobObject(Identified):
    """A fine-tuning job."""

    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    error: JobError | None
    """Why it failed."""
    fine_tuned_model: str | None
    """The model that it made."""
    finished_at: int | None
    """When it ended, in seconds since 1970."""
    hyperparameters: dict[str, Any]
    """Those of its method, except `beta`."""
    model: str
    """With what it began."""
    organization_id: str
    """Whose it is: the project of the key."""
    result_files: list[str]
    """Files with its measurements."""
    seed: int
    """Decides all that is drawn by chance."""
    status: JobStatus
    """How far it is."""
    trained_tokens: int | None
    """How many tokens it learned from, those of all epochs together."""
    training_file: str
    validation_file: str | None
    estimated_finish: int | None
    """When it will probably end, in seconds since 1970."""
    integrations: list[Any]
    metadata: dict[str, str] | None
    method: dict[str, Any]
    """How it learns."""

    @classmethod
    def of(cls, job: Job) -> JobObject:
        """The job as it is told."""
        block = job.method.get(job.method.get("type", ""), {}).get("hyperparameters", {})
        return cls(
            id=job.id,
            created_at=job.created_at,
            error=None if job.error is None else JobError.model_validate(dict(job.error)),
            fine_tuned_model=job.fine_tuned_model,
            finished_at=job.finished_at,
            hyperparameters={name: value for name, value in block.items() if name != "beta"},
            model=job.model,
            organization_id=f"org-{job.project}",
            result_files=list(job.result_files),
            seed=job.seed,
            status=job.status,
            trained_tokens=job.trained_tokens,
            training_file=job.training_file,
            validation_file=job.validation_file,
            estimated_finish=job.estimated_finish,
            integrations=list(job.integrations or ()),
            metadata=None if job.metadata is None else dict(job.metadata),
            method=dict(job.method),
        )


class EventObject(Identified):
    """Something that a job tells."""

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    level: Level
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any] | None

    @classmethod
    def of(cls, event: Event) -> EventObject:
        """The event as it is told."""
        return cls(
            id=event.id,
            created_at=event.created_at,
            level=event.level,
            message=event.message,
            type=event.type,
            data=None if event.data is None else dict(event.data),
        )


class CheckpointObject(Identified):
    """The model of a job as it was after a step."""

    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    fine_tuned_model_checkpoint: str
    """What it is called."""
    fine_tuning_job_id: str
    metrics: dict[str, float]
    step_number: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> CheckpointObject:
        """The checkpoint as it is told."""
        return cls(
            id=checkpoint.id,
            created_at=checkpoint.created_at,
            fine_tuned_model_checkpoint=checkpoint.model,
            fine_tuning_job_id=checkpoint.job_id,
            metrics=dict(checkpoint.metrics),
            step_number=checkpoint.step_number,
        )


class ModelObject(Wire):
    """A base, or a model that a job made."""

    id: str
    object: Literal["model"] = "model"
    created: int
    """When it was made, in seconds since 1970; 0 for a base."""
    owned_by: str
    """`tunesmith` for a base, else the project."""
    form: ModelForm = "writer"
    """Whether it writes answers, or gives labels and its answers are their names."""
    base: str | None = None
    """With what its training began; null for a base."""

    @classmethod
    def of(cls, model: Model) -> ModelObject:
        """The model as it is told."""
        facts = {"owned_by": model.project, "form": model.form, "base": model.base}
        return cls(id=model.id, created=model.created_at, **facts)


class Models(Wire):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class Deleted(Wire):
    """What is gone."""

    id: str
    object: Literal["file", "model"]
    deleted: Literal[True] = True


class Listed(Wire, Generic[Item]):
    """A part of a list; the next begins after `last_id`."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool
    first_id: str | None
    last_id: str | None


def listed(page: Page[Value], tell: Callable[[Value], Item]) -> Listed[Item]:
    """A page as it is told."""
    data: Sequence[Item] = [tell(value) for value in page.data]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return Listed[Any](data=list(data), has_more=page.has_more, first_id=ends[0], last_id=ends[1])
