"""A job's files -> files that the engine reads, line by line; and the task and recipe to read them by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tunesmith.data.formats.openai import flattened
from tunesmith.errors import BaseError, DataError, Problem
from tunesmith.files import atomic_file
from tunesmith.recipe import Recipe
from tunesmith.studio.job_recipe import job_recipe, job_task
from tunesmith.studio.types import Job, Model
from tunesmith.studio.validation.forms import form_of
from tunesmith.studio.validation.hyperparameters import settled
from tunesmith.studio.validation.lines import Values
from tunesmith.studio.validation.reading import examples_of
from tunesmith.studio.work.place import Place
from tunesmith.task import Task

__all__ = ["recipe_of", "task_of", "tuned", "written_down"]


def written_down(place: Place, job: Job, directory: Path) -> tuple[Path, Path | None]:
    """Write the training and the validation file for the engine, each line at its number."""
    train, validation = directory / "train.jsonl", directory / "validation.jsonl"
    _write(place, job, job.training_file, train)
    if job.validation_file is None:
        return train, None
    _write(place, job, job.validation_file, validation)
    return train, validation


def _write(place: Place, job: Job, file_id: str, path: Path) -> None:
    file = place.store.files.read_by(job, file_id)
    if file is None:
        what = "the file was removed before the job could train"
        raise DataError(Problem("no-file", what, file_id, "upload it again, and make another job"))
    with place.blobs.open(file.blob) as source, atomic_file(path, mode=0o600) as target:
        for values in examples_of(source, place.config.max_line_bytes):
            line = "" if values is None else json.dumps(_learned(values, job), ensure_ascii=False)
            target.write(line.encode() + b"\n")


def _learned(values: Values, job: Job) -> Mapping[str, object]:
    """What the engine reads of a line."""
    if job.form == "classifier":
        flat = flattened(values)
        return {"text": flat["text"], "label": flat["label"]}
    if "messages" in values:
        return {"messages": values["messages"]}
    return values


def task_of(job: Job, train: Path) -> Task:
    """What is learned from the files that were written down."""
    if job.form == "classifier":
        return Task(kind="single_label", labels=_labels(train))
    with train.open("rb") as lines:
        form = form_of(next(json.loads(line) for line in lines if line.strip()))
    assert form is not None, "the file was found good"
    return job_task(form, ())


def _labels(train: Path) -> tuple[str, ...]:
    found: set[str] = set()
    with train.open("rb") as lines:
        found.update(json.loads(line)["label"] for line in lines if line.strip())
    return tuple(sorted(found))


def recipe_of(place: Place, job: Job) -> Recipe:
    """How it is learned; raises as `job_recipe` does, and BaseError where the base is none."""
    return job_recipe(settled(job.method, 1), _base(place, job), job.seed, place.config.recipe)


def _base(place: Place, job: Job) -> str:
    if job.model in place.config.bases:
        return place.config.bases[job.model]
    model = tuned(place, job)
    if model is None:
        what = "this is none of the bases of the studio, and no model of the project"
        fix = "name another, or have it added to `bases` of studio.yaml"
        raise BaseError(Problem("no-such-base", what, job.model, fix))
    return str(place.blobs.directory(model.blob))


def tuned(place: Place, job: Job) -> Model | None:
    """The model that the job goes on from, where that is one that a job made."""
    return place.store.models.find(job.project, job.model)
