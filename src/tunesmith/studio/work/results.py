"""What came of a job: its model, its checkpoints and its result files; kept together or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.epochs import kept_epochs, models_of_epochs
from tunesmith.files import read_json
from tunesmith.listener import Listener
from tunesmith.studio.ids import checkpoint_model, model_name, new_id
from tunesmith.studio.store.queue import Claim, Held
from tunesmith.studio.types import Checkpoint, File, Job, Model
from tunesmith.studio.work.keeping import kept_file
from tunesmith.studio.work.listening import curve_figures
from tunesmith.studio.work.material import tuned
from tunesmith.studio.work.place import Place

__all__ = [
    "Results",
    "classification_results",
    "drop_results",
    "epoch_models",
    "keep_results",
    "write_results",
]

_COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
_METRICS_FILE, _CLASSES_FILE = "step_metrics.csv", "classification_results.json"


@dataclass(frozen=True, slots=True)
class Results:
    """What was put among the blobs, and the rows that tell of it."""

    models: tuple[Model, ...]
    """The last is that of the job"""
    checkpoints: tuple[Checkpoint, ...]
    files: tuple[File, ...]
    trained_tokens: int
    report: Mapping[str, Any]


def epoch_models(run: Path, last: int, listener: Listener) -> Iterator[tuple[int, Path]]:
    """The step and the bundle of each epoch that was kept before epoch `last`, oldest first.

    They are not judged anew: their figures are those of the curve.
    """
    places = {epoch: run.with_name(f"epoch-{epoch}") for epoch in kept_epochs(run) if epoch < last}
    made = models_of_epochs(run, places, overwrite=True, judge=False, listener=listener)
    for epoch, report in made:
        yield int(report.curves[-1]["step"] or 0), places[epoch]


def keep_results(place: Place, claim: Claim, run: Path, trained: Path, listener: Listener) -> Results:
    """Put the models and result files of a finished run among the blobs; raises StorageError.

    `listener` hears how the models of its epochs are made, and may end that.
    """
    told, report = read_json(trained), read_json(run / "report.json")
    job, history = claim.job, told["history"]
    files = [_csv(place, job, history)]
    if job.form == "classifier" and report["rows"]:
        files.append(_classes(place, job, report))
    models, checkpoints = _models(place, claim, run, history, listener)
    return Results(models, checkpoints, tuple(files), int(told["tokens"]), report)


def drop_results(place: Place, results: Results) -> None:
    """Remove what nobody will hear of."""
    for blob in [*(model.blob for model in results.models), *(file.blob for file in results.files)]:
        place.blobs.remove(blob)


def _models(
    place: Place, claim: Claim, run: Path, history: Sequence[Mapping[str, Any]], listener: Listener
) -> tuple[tuple[Model, ...], tuple[Checkpoint, ...]]:
    job, root = claim.job, tuned(place, claim.job)
    base = root.base if root else job.model
    name = model_name(base, job.project, job.suffix, job.id)
    last = int(history[-1]["step"])
    earlier = epoch_models(run, int(history[-1]["epoch"]), listener)
    named = [(step, checkpoint_model(name, step), bundle) for step, bundle in earlier]
    models, checkpoints = [], []
    now = int(place.store.now())
    for step, model, bundle in [*named, (last, name, run / "model")]:
        # a name with the fence: whoever was too late writes elsewhere
        blob = f"models/{job.id}-{claim.lease.fence}-{step}"
        place.blobs.put_directory(blob, bundle)
        assert job.form is not None, "the job was validated"
        models.append(Model(model, job.project, now, job.id, base, job.form, blob))
        checkpoints.append(
            Checkpoint(new_id("checkpoint"), job.id, now, step, model, _metrics(step, history))
        )
    return tuple(models), tuple(checkpoints)


def _metrics(step: int, history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    figures = curve_figures(next(row for row in reversed(history) if row["step"] == step))
    full = {f"full_{name}": value for name, value in figures.items() if name.startswith("valid_")}
    return {"step": float(step), **figures, **full}


def _csv(place: Place, job: Job, history: Sequence[Mapping[str, Any]]) -> File:
    """The curve: numbers only; a cell is empty where nothing was measured."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in history:
        figures = {name: f"{value:.6g}" for name, value in curve_figures(row).items()}
        writer.writerow({"step": int(row["step"]), **figures})
    return kept_file(place, job.project, _METRICS_FILE, io.BytesIO(text.getvalue().encode()))


def _classes(place: Place, job: Job, report: Mapping[str, Any]) -> File:
    text = json.dumps(classification_results(report), indent=2, ensure_ascii=False, allow_nan=False)
    return kept_file(place, job.project, _CLASSES_FILE, io.BytesIO(text.encode() + b"\n"))


def classification_results(report: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a report that holds no text of the data: scores, intervals, confusions and rivals."""
    names = ("rows", "labels", "metrics", "intervals", "per_label", "confusion", "rivals", "not_run")
    verdict = {name: report["verdict"][name] for name in ("headline", "sentences", "beats")}
    return {name: report[name] for name in names} | {"verdict": verdict}


def write_results(held: Held, results: Results) -> None:
    """End the job with all that came of it, in this transaction."""
    rows: list[File | Checkpoint | Model] = [*results.files, *results.checkpoints, *results.models]
    for row in rows:
        held.add(row)
    for checkpoint in results.checkpoints:
        held.tell(f"Checkpoint created at step {checkpoint.step_number}", data=dict(checkpoint.metrics))
    _tell_report(held, results.report)
    model = results.models[-1].id
    held.tell(f"New fine-tuned model created: {model}")
    held.tell("The job has successfully completed")
    held.release(
        "succeeded",
        fine_tuned_model=model,
        result_files=[file.id for file in results.files],
        trained_tokens=results.trained_tokens,
    )


def _tell_report(held: Held, report: Mapping[str, Any]) -> None:
    if report["rows"]:
        verdict = report["verdict"]
        said = " ".join([f"{verdict['headline']}.", *verdict["sentences"]])
        data = {"rows": report["rows"], **report["metrics"]}
        held.tell(f"On {report['rows']:,} validation rows: {said}", data=data, metrics=True)
