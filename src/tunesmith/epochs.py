"""The weights that a run kept after an epoch -> a model as the run's own is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.adaptation import adapted
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.unmeasured import unmeasured
from tunesmith.files import refuse_existing
from tunesmith.fitting import fit_learner
from tunesmith.inputs import Columns, Inputs, Material, describe, prepare_base, provenance, read_splits
from tunesmith.listener import Listener
from tunesmith.pipeline import judge_trained, write_model
from tunesmith.processes import ALONE
from tunesmith.recipe import Recipe
from tunesmith.room import room_of
from tunesmith.run import RunDirectory
from tunesmith.task import Task
from tunesmith.training.checkpoint import Checkpoint, KeptEpochs
from tunesmith.training.resume import begun, refuse_changes
from tunesmith.training.state import Fitted

__all__ = ["kept_epochs", "model_of_epoch", "models_of_epochs"]

_NOT_JUDGED = "These are the weights after an epoch; only the weights that the run ended with were judged."
_FIX = "name the directory of a run that `tunesmith train` began"


def kept_epochs(run: str | Path) -> list[int]:
    """The epochs, from 1, of which a run has kept the weights."""
    return KeptEpochs(RunDirectory(Path(run)).epochs, 0).epochs


def model_of_epoch(
    run: str | Path,
    epoch: int,
    out: str | Path,
    *,
    overwrite: bool = False,
    judge: bool = True,
    listener: Listener | None = None,
) -> Report:
    """Write the bundle of what a run had learned after `epoch`; returns how it does on the test rows.

    Where there are none, or it is not to `judge`, the report has the losses and figures of the training up to
    there, and says that nothing was measured.
    The data is read again where the run found it, and must be as it was. Raises StorageError where the
    weights are not kept, or `out` exists, and ResumeError where data or base changed.
    """
    ((_, report),) = models_of_epochs(run, {epoch: out}, overwrite=overwrite, judge=judge, listener=listener)
    return report


def models_of_epochs(
    run: str | Path,
    places: Mapping[int, str | Path],
    *,
    overwrite: bool = False,
    judge: bool = True,
    listener: Listener | None = None,
) -> Iterator[tuple[int, Report]]:
    """As `model_of_epoch` of each epoch in `places`, one after the other; the data is read once for all.

    Gives each epoch with its report once its bundle is written, and is at work only while it is asked.
    """
    told, directory = listener or Listener(), RunDirectory(Path(run))
    about = begun(directory.path / "run.json", fix=_FIX)
    material: Material | None = None
    for epoch, out in places.items():
        kept = KeptEpochs(directory.epochs, 0).read(epoch)
        refuse_existing(Path(out), overwrite)
        material = material or _material(about, told)
        name = f"{directory.path.name}-epoch-{epoch}"
        # not held here: the next model is loaded when this one is gone
        report = _written(
            *_trained(material, about, directory, kept, told), Path(out), name, told, judge, overwrite
        )
        yield epoch, report


def _material(about: Mapping[str, Any], listener: Listener) -> Material:
    """What the run read, read again."""
    recipe = Recipe.model_validate(about["recipe"])
    task = Task.model_validate(about["task"])
    return read_splits(about["sources"], task, recipe, listener, Columns(None, None))


def _trained(
    material: Material,
    about: Mapping[str, Any],
    directory: RunDirectory,
    kept: Checkpoint,
    listener: Listener,
) -> tuple[Inputs, Fitted]:
    """The run's base, loaded anew, with the weights that are kept of it; refused where it changed."""
    inputs = prepare_base(material, listener, ALONE)
    refuse_changes(about, _described(inputs), directory.path / "run.json")
    own = directory.path / "adapted"
    inputs = adapted(inputs, own, resume=True, listener=listener, should_stop=lambda: False)
    listener.stage("train")
    fitted, learner = fit_learner(
        inputs.classifier,
        inputs.recipe,
        inputs.splits,
        directory.checkpoints,
        resume=False,
        listener=listener,
        should_stop=lambda: False,
        kept=kept,
    )
    return replace(inputs, classifier=learner), fitted


def _written(
    inputs: Inputs,
    fitted: Fitted,
    out: Path,
    name: str,
    listener: Listener,
    judge: bool,
    overwrite: bool,
) -> Report:
    """Judge a model, where it is to be, and write its bundle; returns the report."""
    room = room_of(inputs.splits.train.task)
    listener.stage("evaluate")
    answerer = room.answerer(inputs.classifier, inputs.recipe, inputs.splits)
    report = _judged(inputs, fitted, answerer, listener, judge)
    listener.stage("write")
    write_model(out, inputs, report, room.thresholds(answerer), name, overwrite=overwrite)
    return report


def _judged(inputs: Inputs, fitted: Fitted, answerer: Any, listener: Listener, judge: bool) -> Report:
    if judge:
        return judge_trained(inputs, fitted, answerer, listener, ALONE)[0]
    return unmeasured(inputs.splits.train.task, fitted, provenance(inputs, ALONE), _NOT_JUDGED)


def _described(inputs: Inputs) -> dict[str, Any]:
    return {name: value for name, value in describe(inputs).items() if name in ("sha256", "base", "split")}
