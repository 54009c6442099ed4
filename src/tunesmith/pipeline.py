"""One function a stage: the public library, read top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.adaptation import adapted
from tunesmith.asked import asked_of, refuse_for_writing, sliced_by
from tunesmith.bar import Bar
from tunesmith.bundle import Bundle, open_bundle, write_bundle
from tunesmith.config import parse_values
from tunesmith.data.check import DataReport, check
from tunesmith.data.dataset import Dataset
from tunesmith.data.formats.rows import Row
from tunesmith.data.read import read, sampled, stream
from tunesmith.errors import ConfigError, Problem
from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.decision import decided
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.predictions import Predictions
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.unmeasured import unmeasured
from tunesmith.evaluation.wording import memory
from tunesmith.fitting import fit_learner, test_followed
from tunesmith.inputs import (
    Columns,
    Inputs,
    agreed,
    describe,
    given,
    prepare,
    provenance,
    refuse_differences,
    versions,
)
from tunesmith.learning import Curve, refuse_learning_curve
from tunesmith.lesson import Judging, Lesson
from tunesmith.listener import Listener, StageListener
from tunesmith.model.learner import Learner
from tunesmith.model.thresholds import Thresholds
from tunesmith.processes import Processes
from tunesmith.recipe import Recipe
from tunesmith.room import room_of
from tunesmith.run import Run, RunDirectory
from tunesmith.task import Kind, Task
from tunesmith.torchrun import join
from tunesmith.tracking.observer import parameters_of, tracked
from tunesmith.tracking.trackers import trackers_named
from tunesmith.training.checkpoint import KeptEpochs
from tunesmith.training.state import Fitted
from tunesmith.writer import Writer

__all__ = [
    "evaluate",
    "find_bundle",
    "fit_inputs",
    "judge_trained",
    "known_column",
    "load_writer",
    "name_of",
    "train",
    "write_model",
]

_NO_FAULTS_OF_A_TEST = frozenset({"all-duplicates", "one-class"})


def train(
    data: str | Path,
    *,
    test: str | Path | None = None,
    validation: str | Path | None = None,
    out: str | Path | None = None,
    task: Task | str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    kind: Kind | None = None,
    overwrite: bool = False,
    resume: bool = False,
    track: str | Sequence[str] = (),
    slice_columns: Sequence[str] = (),
    learning_curve: bool = False,
    keep_epochs: int = 0,
    follow_test: bool = False,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Fine-tune a classifier on labelled text, prove it on the test split, and write a run directory.

    `data`, `test` and `validation` are files or folders; what is not given is split off `data`.
    `task` and `recipe` are objects or YAML files; what they leave open is inferred and said to `listener`.
    `out` defaults to `runs/` and the name of `data`. `track` names who is told the measurements,
    `tensorboard`, `mlflow` or `wandb`; they stay in the run unless the environment names a server.
    `slice_columns` are further columns by whose values the report slices the test rows.
    With `learning_curve` the recipe is also tried on an eighth, a quarter and half of the training rows, and
    the report says what twice as many would bring. With `follow_test`, where no rows are kept for
    validation, the test rows are judged after each epoch, too, and nothing is chosen by that. Where the
    recipe keeps no rows for a test and no file is given, nothing is measured, and the report says so.
    Of the latest `keep_epochs` epochs the weights are kept: `tunesmith.epochs` makes models of them.
    Raises UserError for whatever is wrong with these, and Interrupted, with a checkpoint kept, once
    `should_stop` answers True.

    Where torchrun has started several processes, each calls this alike and gets the same Run, or the same
    error; only the main one writes, and has its `listener` told more than the stages.
    """
    processes = join()
    told = listener or Listener()
    told = told if processes.is_main else StageListener(told)
    trackers = processes.together(lambda: trackers_named(track))
    processes.together(lambda: _refuse_epochs(keep_epochs))
    directory = RunDirectory(Path(out) if out else Path("runs") / name_of(data))
    processes.from_main(lambda: directory.refuse(overwrite=overwrite, resume=resume))
    sources = {"train": data, "validation": validation, "test": test}
    asked: Recipe = processes.together(lambda: given(recipe, Recipe) or Recipe())
    if resume:
        asked = agreed(lambda: directory.as_begun(asked), processes)
    inputs = processes.together(
        lambda: prepare(
            {name: str(path) for name, path in sources.items() if path},
            given(task, Task),
            asked,
            told,
            Columns(text_column, label_column, kind),
            processes,
        )
    )
    asked_for = processes.together(lambda: sliced_by(slice_columns, test or data, inputs.splits.test))
    inputs = replace(inputs, recipe=agreed(lambda: inputs.recipe, processes), asked=asked_for)
    if learning_curve:
        processes.together(lambda: refuse_learning_curve(inputs, processes))
    about = describe(inputs)
    refuse_differences(about, processes)
    beside = {"reasons": inputs.reasons, "processes": processes.count}
    beside |= {name: getattr(inputs.recipe, name) for name in ("parallel", "rival_seconds")}
    processes.from_main(lambda: _begin(directory, inputs, about, beside, resume=resume))
    inputs = adapted(
        inputs, directory.path / "adapted", resume=resume, listener=told, should_stop=should_stop
    )
    # trackers hear of the run, not of the models of its learning curve
    curve = Curve(inputs, asked, directory.curve, resume, told, should_stop) if learning_curve else None
    parameters = parameters_of(inputs.recipe.model_dump(mode="json"), provenance(inputs, processes))
    with tracked(trackers if processes.is_main else (), directory.logs, told, parameters) as told:
        kept, teach = KeptEpochs(directory.epochs, keep_epochs), test_followed if follow_test else None
        fitted, classifier = fit_inputs(
            inputs, directory, resume, told, should_stop, processes, epochs=kept, teach=teach
        )
        inputs = replace(inputs, classifier=classifier)
        told.stage("evaluate")
        values = processes.from_main(lambda: _finish(inputs, fitted, directory, told, processes, curve))
    task_learned, report = inputs.splits.train.task, Report.from_dict(values)
    return Run(directory.path, task_learned, inputs.recipe, inputs.data_report, report)


def _refuse_epochs(count: int) -> None:
    if count < 0:
        fix = "say how many of the latest epochs are to be kept; 0 keeps none"
        raise ConfigError(Problem("bad-value", f"{count} epochs cannot be kept", "`keep_epochs`", fix))


def _begin(
    directory: RunDirectory,
    inputs: Inputs,
    about: Mapping[str, Any],
    beside: Mapping[str, Any],
    *,
    resume: bool,
) -> None:
    directory.begin(about, resume=resume, beside=beside)
    directory.save_split(inputs.data_sha256, inputs.splits)


def name_of(data: str | Path) -> str:
    """What a run on this data is called where nobody names it."""
    # resolved: "." has no name of its own
    return Path(data).resolve().name.lstrip(".").split(".")[0] or "run"


def fit_inputs(
    inputs: Inputs,
    directory: RunDirectory,
    resume: bool,
    listener: Listener,
    should_stop: Callable[[], bool],
    processes: Processes,
    epochs: KeptEpochs | None = None,
    teach: Callable[..., Lesson] | None = None,
) -> tuple[Fitted, Learner]:
    """Fine-tune as the recipe says and log it; see `fit_learner`. Raises as `train` does."""
    listener.stage("train")
    fitted, classifier = fit_learner(
        inputs.classifier,
        inputs.recipe,
        inputs.splits,
        directory.checkpoints,
        resume=resume,
        listener=listener,
        should_stop=should_stop,
        processes=processes,
        epochs=epochs,
        teach=teach,
    )
    processes.from_main(lambda: directory.log(fitted.history))
    listener.trained(fitted)
    listener.note(f"peak memory: {memory(fitted.peak_memory_bytes)}")
    return fitted, classifier


def _finish(
    inputs: Inputs,
    fitted: Fitted,
    directory: RunDirectory,
    listener: Listener,
    processes: Processes,
    curve: Curve | None,
) -> dict[str, Any]:
    """Judge the trained model, write the run, and return its report."""
    room = room_of(inputs.splits.train.task)
    answerer = room.answerer(inputs.classifier, inputs.recipe, inputs.splits)
    report, predictions = judge_trained(inputs, fitted, answerer, listener, processes)
    if curve is not None:
        listener.stage("learning-curve")
        report = replace(report, learning_curve=curve.of(answerer, fitted.seconds))
    if predictions is not None:
        listener.judged(report)
    listener.stage("write")
    return _write(directory, inputs, report, room.thresholds(answerer), predictions)


def judge_trained(
    inputs: Inputs, fitted: Fitted, answerer: Any, listener: Listener, processes: Processes
) -> tuple[Report, Predictions | None]:
    """The report of a model on the test rows, and what it answered on each.

    Where there are none, the report says that nothing was measured, and there are no answers.
    """
    splits, recipe, room = inputs.splits, inputs.recipe, room_of(inputs.splits.train.task)
    origin = provenance(inputs, processes)
    if not len(splits.test):
        return unmeasured(splits.train.task, fitted, origin), None
    test = room.judged(splits.test, recipe)
    if len(test) < len(splits.test):
        listener.note(f"of {len(splits.test):,} test rows {len(test):,} are answered (`judged_rows`)")
    rivals = room.rivals(recipe, splits.train, test, listener.answered)
    trained = (fitted.history, fitted.seconds, fitted.peak_memory_bytes)
    kept: list[Predictions] = []
    judging = Judging(origin, recipe, *trained, listener.answered, inputs.asked, kept.append)
    report = decided(room.judge(answerer, test, rivals, judging), splits.train.task.bar)
    return report, kept[0]


def _write(
    directory: RunDirectory,
    inputs: Inputs,
    report: Report,
    thresholds: Thresholds | None,
    predictions: Predictions | None,
) -> dict[str, Any]:
    name = directory.path.name
    values = write_model(directory.model, inputs, report, thresholds, name, overwrite=True)
    answers = predictions.to_bytes() if predictions is not None else None
    directory.finish(values, as_html(report, title=name), answers)
    return values


def write_model(
    path: Path,
    inputs: Inputs,
    report: Report,
    thresholds: Thresholds | None,
    name: str,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the bundle of a model that was trained and judged; returns its report as plain values."""
    task, recipe, values = inputs.splits.train.task, inputs.recipe, report.to_dict()
    write_bundle(
        path,
        inputs.classifier,
        task=task,
        recipe=recipe,
        report=values,
        data_report=inputs.data_report.to_dict(),
        card=as_model_card(report, task=task, recipe=recipe, name=name),
        thresholds=thresholds,
        overwrite=overwrite,
    )
    return values


def load_writer(path: str | Path) -> Writer:
    """Open a bundle that writes, as `load` opens one that gives labels."""
    return find_bundle(path).writer()


def find_bundle(path: str | Path) -> Bundle:
    """Open the bundle at `path`, or the one of the run at `path`."""
    place = Path(path)
    return open_bundle(place / "model" if (place / "run.json").is_file() else place)


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    train_data: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    bar: Bar | None = None,
    rival_seconds: float | None = None,
    slice_columns: Sequence[str] = (),
    explain: bool = False,
    robustness: bool = False,
    listener: Listener | None = None,
    keep: Callable[[Predictions], None] | None = None,
) -> Report:
    """Judge a bundle on a labelled file; with `train_data`, beside rivals trained on it.

    `bar` is what it must reach, in place of that of its task; `rival_seconds` is what rivals may take, in
    place of that of its recipe. Of a model that gives labels, the report also has a table for each of
    `slice_columns`; what words did in the worst mistakes, where it is to `explain` them; and its
    `robustness` to typos and casing. `keep` hears what was answered on each row.
    """
    listener = listener or Listener()
    bundle = find_bundle(model)
    if slice_columns or explain or robustness:
        refuse_for_writing(bundle.task, bundle.path, "slices, explanations and robustness")
    listener.stage("read")
    columns = Columns(text_column, label_column)
    test = _read_for(bundle, data, columns, listener)
    train_set = _read_for(bundle, train_data, columns, listener) if train_data else None
    listener.stage("evaluate")
    room = room_of(bundle.task)
    test = room.judged(test, bundle.recipe)
    recipe = _with_rival_seconds(bundle.recipe, rival_seconds)
    rivals = room.rivals(recipe, train_set, test, listener.answered) if train_set else ()
    origin = {"model": str(bundle.path), "data": str(data), "test sha256": test.sha256, **versions()}
    asked = asked_of(bundle, data, test, slice_columns, explain=explain, robustness=robustness)
    judging = Judging(origin, recipe, on_answer=listener.answered, asked=asked, keep=keep)
    return decided(room.judge(bundle.answerer(), test, rivals, judging), bar or bundle.task.bar)


def _with_rival_seconds(recipe: Recipe, seconds: float | None) -> Recipe:
    """Raises ConfigError where the seconds are none."""
    if seconds is None:
        return recipe
    return parse_values(recipe.model_dump() | {"rival_seconds": seconds}, Recipe, "--rival-seconds")


def _read_for(bundle: Bundle, path: str | Path, columns: Columns, listener: Listener) -> Dataset:
    """Read a file for a task whose labels are known; columns of other names than the task's are inferred."""
    task = bundle.task
    sample, _ = sampled(stream(path, lenient=True))
    dataset = read(
        path,
        text_column=columns.text or known_column(task.text_column, sample),
        label_column=columns.label or known_column(task.target_column, sample),
        kind=task.kind,
        separator=task.separator,
    )
    for note in dataset.notes:
        listener.note(note)
    found = {
        "text_column": dataset.task.text_column,
        "target_column": dataset.task.target_column,
    }
    dataset = replace(dataset, task=task.model_copy(update=found))
    # only errors count here, and what is nearly said twice is none
    _refuse_unfit(check(dataset, labels_given=True, most_compared=0))
    return dataset


def _refuse_unfit(report: DataReport) -> None:
    """Raise DataError with the errors, but those of data that is only too uniform to learn from."""
    problems = [problem for problem in report.problems if problem.code not in _NO_FAULTS_OF_A_TEST]
    replace(report, problems=tuple(problems)).raise_if_failed()


def known_column(name: str | None, sample: Sequence[Row]) -> str | None:
    """The column that a task names, where the rows have it."""
    return name if any(name in row.values for row in sample) else None
