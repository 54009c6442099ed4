"""What the studio keeps: files, uploads, jobs and what comes of them, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

__all__ = [
    "ENDED",
    "Checkpoint",
    "Event",
    "File",
    "Job",
    "JobStatus",
    "Lease",
    "Level",
    "Model",
    "ModelForm",
    "Page",
    "Part",
    "Purpose",
    "Upload",
    "UploadStatus",
    "Wanted",
]

JobStatus = Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
Wanted = Literal["run", "pause", "cancel"]
"""What callers want of a job that is at work."""
Level = Literal["info", "warn", "error"]
Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals", "fine-tune-results"]
UploadStatus = Literal["pending", "completed", "cancelled", "expired"]
ModelForm = Literal["writer", "classifier"]
"""Whether a model writes answers, or gives labels and its answers are their names."""

Item = TypeVar("Item")

ENDED: frozenset[JobStatus] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class File:
    """One file; what it holds lies among the blobs under `blob`."""

    id: str
    project: str
    created_at: int
    filename: str
    """What the caller calls it: told again, and never used for anything."""
    purpose: Purpose
    bytes: int
    sha256: str
    blob: str
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that comes in parts."""

    id: str
    project: str
    created_at: int
    expires_at: int
    filename: str
    purpose: Purpose
    bytes: int
    """How many it says it has"""
    mime_type: str
    status: UploadStatus = "pending"
    keep_seconds: int | None = None
    """After how long the file that comes of it expires"""
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an upload."""

    id: str
    upload_id: str
    created_at: int
    bytes: int
    blob: str


@dataclass(frozen=True, slots=True)
class Job:
    """One fine-tuning job: what was asked for, how far it is, and what came of it."""

    id: str
    project: str
    created_at: int
    model: str
    """The base, as the caller named it"""
    training_file: str
    seed: int
    status: JobStatus = "validating_files"
    wanted: Wanted = "run"
    validation_file: str | None = None
    method: Mapping[str, Any] = field(default_factory=dict)
    """`{"type": …, type: {"hyperparameters": …}}`; "auto" becomes a number once the files are validated"""
    form: ModelForm | None = None
    """What its model will be, known once the files are validated"""
    suffix: str | None = None
    metadata: Mapping[str, str] | None = None
    integrations: tuple[Mapping[str, Any], ...] | None = None
    error: Mapping[str, Any] | None = None
    """`code`, `message` and `param` of what it failed by"""
    fine_tuned_model: str | None = None
    result_files: tuple[str, ...] = ()
    trained_tokens: int | None = None
    step: int = 0
    """The last step that is known to be done"""
    estimated_finish: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    fence: int = 0
    """How often it was claimed; a writer of an earlier claim is refused"""
    attempts: int = 0
    """Claims since it last got further"""
    lease_owner: str | None = None
    lease_until: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to write about a job."""

    job_id: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a job tells."""

    id: str
    job_id: str
    created_at: int
    level: Level
    message: str
    type: Literal["message", "metrics"] = "message"
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The model of a job as it was after a step."""

    id: str
    job_id: str
    created_at: int
    step_number: int
    model: str
    """What it is called"""
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a job made; its bundle lies among the blobs under `blob`."""

    id: str
    project: str
    created_at: int
    job_id: str
    base: str
    form: ModelForm
    blob: str


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a list, in its order, and whether there are more."""

    data: tuple[Item, ...]
    has_more: bool
