"""A job before it may train: its files, its base and its hyperparameters; all that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.studio.blobs import Blobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.store import Store
from tunesmith.studio.types import File, Job, ModelForm
from tunesmith.studio.validation.forms import Form
from tunesmith.studio.validation.hyperparameters import as_method, settled
from tunesmith.studio.validation.reading import Reading, read_through
from tunesmith.studio.validation.survey import FEWEST_EXAMPLES, labels_taught

__all__ = ["BadFile", "BadJob", "Validated", "validated"]

_SHOWN_LINES = 5


@dataclass(frozen=True, slots=True)
class Validated:
    """A job that may train; `method` has a number for each hyperparameter."""

    method: Mapping[str, Any]
    form: ModelForm
    said: tuple[str, ...]
    """What its owner should know"""


@dataclass(slots=True)
class BadFile:
    """A file that cannot be learned from; `reading` has its faults, where it could be read."""

    param: str
    message: str
    reading: Reading | None = None

    @property
    def code(self) -> str:
        """What the API calls it."""
        return f"invalid_{self.param}"


@dataclass(slots=True)
class BadJob(Exception):  # noqa: N818 (nothing is wrong with the studio)
    """Why a job cannot train: each of its files with its faults."""

    files: list[BadFile] = field(default_factory=list)

    @property
    def error(self) -> dict[str, Any]:
        """The `error` of the job."""
        first = self.files[0]
        message = " ".join(file.message for file in self.files)
        return {"code": first.code, "message": message, "param": first.param}


def validated(
    job: Job, store: Store, blobs: Blobs, config: StudioConfig, go_on: Callable[[], None]
) -> Validated:
    """What a job becomes once its files were read through; raises BadJob, and whatever `go_on` raises."""
    bad = BadJob()
    preferences = job.method.get("type") == "dpo"
    reader = _Reader(store, blobs, config, job, go_on, preferences, bad)
    train = reader.read("training_file", job.training_file, None, FEWEST_EXAMPLES)
    form = train.form if train else None
    validation = reader.read("validation_file", job.validation_file, form, 1) if job.validation_file else None
    for reading in (train, validation):
        if reading is not None and not bad.files:
            reading.close()
    if bad.files:
        raise bad
    assert train is not None
    labels = labels_taught(train.survey, validation.survey if validation else None)
    method = as_method(job.method, settled(job.method, train.survey.examples))
    counts = (train.survey.examples, validation.survey.examples if validation else None)
    return Validated(method, "classifier" if labels else "writer", tuple(_said(counts, labels)))


@dataclass(frozen=True, slots=True)
class _Reader:
    store: Store
    blobs: Blobs
    config: StudioConfig
    job: Job
    go_on: Callable[[], None]
    preferences: bool
    bad: BadJob

    def read(self, param: str, file_id: str, form: Form | None, fewest: int) -> Reading | None:
        """What is in a file; what is wrong with it becomes a BadFile."""
        file = self.store.files.read_by(self.job, file_id)
        name = param.replace("_", " ").capitalize()
        if file is None:
            self.bad.files.append(BadFile(param, f"{name} {file_id} is not there any more."))
            return None
        reading = self._read(file, form)
        if message := _fault_of(reading, param.replace("_", " "), fewest):
            self.bad.files.append(BadFile(param, message, reading))
        return reading

    def _read(self, file: File, form: Form | None) -> Reading:
        with self.blobs.open(file.blob) as stream:
            return read_through(
                stream,
                self.config.max_line_bytes,
                form=form,
                preferences=self.preferences,
                go_on=self.go_on,
            )


def _fault_of(reading: Reading, name: str, fewest: int) -> str | None:
    """What a job fails by, the first bad lines named; None where nothing is wrong."""
    failed = f"The job failed due to an invalid {name}."
    if reading.faults:
        told = "; ".join(map(str, reading.first[:_SHOWN_LINES]))
        more = reading.faults - min(_SHOWN_LINES, len(reading.first))
        return f"{failed} {told}" + (f"; and {more:,} more faults" if more else "") + "."
    count = reading.survey.examples
    if count < fewest:
        few = f"has {count} example(s), but must have at least {fewest} examples"
        return f"{failed} {name.capitalize()} {few}"
    return None


def _said(counts: tuple[int, int | None], labels: tuple[str, ...]) -> list[str]:
    train, validation = counts
    judged = (
        "no validation file: nothing will be measured"
        if validation is None
        else f"{validation:,} to judge the model by, of which none is trained on and none decides anything"
    )
    said = [f"{train:,} examples to train on; {judged}"]
    if labels:
        said.append(
            f"The answers are {len(labels)} different labels, each to one question: the model will be a "
            "classifier, which answers with one of them"
        )
    return said
