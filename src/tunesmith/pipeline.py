"""One function a stage: the public library, read top to bottom."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith import __version__
from tunesmith.bundle import Bundle, open_bundle, write_bundle
from tunesmith.config import read_config
from tunesmith.data.cache import cache_directory
from tunesmith.data.check import DataReport, check
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.data.formats.rows import Row
from tunesmith.data.mend import mend
from tunesmith.data.read import read, sampled, stream
from tunesmith.data.split import split
from tunesmith.data.write import write_dataset
from tunesmith.errors import DataError, Problem
from tunesmith.evaluation.card import as_model_card
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.types import Report
from tunesmith.evaluation.wording import memory
from tunesmith.files import refuse_existing, sha256_bytes
from tunesmith.lesson import Judging
from tunesmith.listener import Listener, StageListener
from tunesmith.model.fingerprint import fingerprint
from tunesmith.model.layers import block_count, linear_layers
from tunesmith.model.learner import Learner
from tunesmith.model.load import base_location, load_reader
from tunesmith.model.packed import can_pack
from tunesmith.model.recomputing import activation_bytes_per_token
from tunesmith.model.thresholds import Thresholds
from tunesmith.predict import Predictor
from tunesmith.processes import Processes
from tunesmith.recipe import DataFacts, Recipe, are_few, for_examples, reasons_for, resolve
from tunesmith.room import room_of
from tunesmith.run import Run, RunDirectory
from tunesmith.task import Kind, Task
from tunesmith.torchrun import join
from tunesmith.tracking.observer import parameters_of, tracked
from tunesmith.tracking.trackers import trackers_named
from tunesmith.training.batches import Plan
from tunesmith.training.memory import free_bytes
from tunesmith.training.methods import Job, fine_tune, refuse_unavailable, refuse_unfit
from tunesmith.training.precision import bf16_in_hardware, fp16_in_hardware
from tunesmith.training.state import Fitted, LoopSettings
from tunesmith.writer import Writer

__all__ = [
    "check_file",
    "evaluate",
    "find_bundle",
    "known_column",
    "load",
    "load_writer",
    "mend_file",
    "train",
]

_NO_FAULTS_OF_A_TEST = frozenset({"all-duplicates", "one-class"})


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns, and the kind of their labels, that the caller named."""

    text: str | None
    label: str | None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What `train` reads before it begins."""

    splits: Splits
    data_report: DataReport
    recipe: Recipe
    classifier: Learner
    sources: dict[str, str]
    reasons: dict[str, str]
    """Why what `auto` left open became what it is."""


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
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Fine-tune a classifier on labelled text, prove it on the test split, and write a run directory.

    `data`, `test` and `validation` are files or folders; what is not given is split off `data`.
    `task` and `recipe` are objects or YAML files; what they leave open is inferred and said to `listener`.
    `out` defaults to `runs/` and the name of `data`. `track` names who is told the measurements,
    `tensorboard`, `mlflow` or `wandb`; they stay in the run unless the environment names a server.
    Raises UserError for whatever is wrong with these, and Interrupted, with a checkpoint kept, once
    `should_stop` answers True.

    Where torchrun has started several processes, each calls this alike and gets the same Run, or the same
    error; only the main one writes, and has its `listener` told more than the stages.
    """
    processes = join()
    told = listener or Listener()
    told = told if processes.is_main else StageListener(told)
    trackers = processes.together(lambda: trackers_named(track))
    directory = RunDirectory(Path(out) if out else Path("runs") / _name_of(data))
    processes.from_main(lambda: directory.refuse(overwrite=overwrite, resume=resume))
    sources = {"train": data, "validation": validation, "test": test}
    asked: Recipe = processes.together(lambda: _config(recipe, Recipe) or Recipe())
    if resume:
        asked = _from_main(lambda: directory.as_begun(asked), processes)
    inputs = processes.together(
        lambda: _prepare(
            {name: str(path) for name, path in sources.items() if path},
            _config(task, Task),
            asked,
            told,
            _Columns(text_column, label_column, kind),
            processes,
        )
    )
    inputs = replace(inputs, recipe=_from_main(lambda: inputs.recipe, processes))
    about = _about(inputs)
    _refuse_differences(about, processes)
    beside = {"reasons": inputs.reasons, "processes": processes.count, "parallel": inputs.recipe.parallel}
    processes.from_main(lambda: directory.begin(about, resume=resume, beside=beside))
    parameters = parameters_of(inputs.recipe.model_dump(mode="json"), _provenance(inputs, processes))
    with tracked(trackers if processes.is_main else (), directory.logs, told, parameters) as told:
        fitted, classifier = _fine_tune(inputs, directory, resume, told, should_stop, processes)
        inputs = replace(inputs, classifier=classifier)
        told.stage("evaluate")
        values = processes.from_main(lambda: _finish(inputs, fitted, directory, told, processes))
    task_learned, report = inputs.splits.train.task, Report.from_dict(values)
    return Run(directory.path, task_learned, inputs.recipe, inputs.data_report, report)


def _name_of(data: str | Path) -> str:
    # resolved: "." has no name of its own
    return Path(data).resolve().name.lstrip(".").split(".")[0] or "run"


def _config(value: Any, kind: Any) -> Any:
    return read_config(Path(value), kind) if isinstance(value, (str, Path)) else value


def _from_main(recipe: Callable[[], Recipe], processes: Processes) -> Recipe:
    """The main process's recipe: what is free or can be done may be otherwise for another."""
    if processes.count == 1:
        return recipe()
    return Recipe.model_validate(processes.from_main(lambda: recipe().model_dump(mode="json")))


def _prepare(
    sources: Mapping[str, str],
    task: Task | None,
    recipe: Recipe,
    listener: Listener,
    columns: _Columns,
    processes: Processes,
) -> _Inputs:
    base_location(recipe.base)  # told before large data is read
    refuse_unavailable(recipe)
    listener.stage("read")
    dataset = read(
        sources["train"], task, text_column=columns.text, label_column=columns.label, kind=columns.kind
    )
    for note in dataset.notes:
        listener.note(note)
    held_out = {name: read(path, dataset.task) for name, path in sources.items() if name != "train"}
    listener.stage("check")
    labels_given = bool(task and task.labels)
    report = check(dataset, held_out=held_out, labels_given=labels_given).raise_if_failed()
    if "validation" in held_out:
        # not read: few examples must not seem to have changed it
        unread = for_examples(recipe, few=False).validation_fraction
        recipe = recipe.model_copy(update={"validation_fraction": unread})
    asked, few = recipe, _few_examples(dataset, recipe, held_out)
    recipe = for_examples(recipe, few=few)
    assert recipe.validation_fraction is not None
    splits = split(
        dataset,
        seed=recipe.seed,
        validation_fraction=recipe.validation_fraction,
        test_fraction=recipe.test_fraction,
        validation=held_out.get("validation"),
        test=held_out.get("test"),
    )
    listener.stage("tokenise")
    if splits.train.mapped is not None:
        listener.note(f"rows and tokens of this large set are kept for later runs in {cache_directory()}")
    classifier, facts, report = _load_base(recipe, splits, report, few, processes)
    listener.checked(report)
    listener.note(splits.how)
    resolved = resolve(recipe, facts)
    refuse_unfit(resolved, classifier.model, processes.count)
    reasons = reasons_for(asked, facts)
    for name, reason in reasons.items():
        listener.note(f"{name}: {str(getattr(resolved, name)).lower()}, as {reason}")
    if processes.count > 1:
        listener.note(f"{processes.count} processes, {resolved.parallel}: each takes a share of every step")
    elif resolved.parallel is not None:
        listener.note(f"one process: there is nothing to spread with `parallel: {resolved.parallel}`")
    if not can_pack(classifier.model):
        kind = classifier.model.config.model_type
        listener.note(f"texts are padded: how to do without is not known for this kind of {kind}")
    return _Inputs(splits, report, resolved, classifier, dict(sources), reasons)


def _few_examples(dataset: Dataset, recipe: Recipe, held_out: Mapping[str, Dataset]) -> bool:
    """Whether few are left to learn from of each of the labels, of which a text has one."""
    share = 1.0 if "test" in held_out else 1 - recipe.test_fraction
    return dataset.task.kind == "single_label" and are_few(
        round(share * len(dataset)), len(dataset.task.labels)
    )


def _load_base(
    recipe: Recipe, splits: Splits, report: DataReport, few_examples: bool, processes: Processes
) -> tuple[Learner, DataFacts, DataReport]:
    room = room_of(splits.train.task)
    base = room.load_base(recipe, splits.train)
    window = min(recipe.max_tokens or base.window, base.window)
    report = room.token_report(report, splits.train, base.tokenizer, window)
    assert report.token_lengths is not None, "a split without texts is refused"
    facts = DataFacts(
        examples=len(splits.train),
        mean_tokens=report.token_lengths.mean,
        longest_tokens=report.token_lengths.longest,
        label_counts=room.label_counts(splits.train),
        answer_tokens=room.answer_tokens(splits.train, base.tokenizer),
        window=base.window,
        parameters=base.parameters,
        blocks=block_count(base.model),
        linear_layers=linear_layers(base.model),
        activation_bytes_per_token=activation_bytes_per_token(
            base.model, min(report.token_lengths.longest, window)
        ),
        free_bytes=free_bytes(processes.on_this_machine) * _parts(recipe, processes),
        processes=processes.count,
        bf16_in_hardware=bf16_in_hardware(),
        fp16_in_hardware=fp16_in_hardware(),
        few_examples=few_examples,
    )
    return base, facts, report


def _parts(recipe: Recipe, processes: Processes) -> int:
    """Over how many devices gradients and moments are spread."""
    return processes.count if recipe.parallel == "fsdp" else 1


def _about(inputs: _Inputs) -> dict[str, Any]:
    splits = inputs.splits
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        "sources": {name: str(Path(path).resolve()) for name, path in inputs.sources.items()},
        "sha256": {name: part.sha256 for name, part in parts.items()},
        "split": splits.how,
        "task": splits.train.task.model_dump(mode="json"),
        # a run may go on with another number of processes
        "recipe": inputs.recipe.model_dump(mode="json", exclude={"parallel"}),
        "base": fingerprint(inputs.classifier),
    }


def _refuse_differences(about: Mapping[str, Any], processes: Processes) -> None:
    """Raise DataError, in all processes, where they have read other data or another base."""
    # the same files may lie elsewhere on another machine
    mine = json.dumps({name: value for name, value in about.items() if name != "sources"}, sort_keys=True)
    digests = processes.texts(sha256_bytes(mine.encode()))
    others = [f"process {rank}" for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        what = f"{', '.join(others)} read other data or another base than process 0"
        fix = "give every machine the same files, and start the same command on all of them"
        processes.agree(DataError(Problem("processes-differ", what, "the data and the base", fix)))


def _fine_tune(
    inputs: _Inputs,
    directory: RunDirectory,
    resume: bool,
    listener: Listener,
    should_stop: Callable[[], bool],
    processes: Processes,
) -> tuple[Fitted, Learner]:
    listener.stage("train")
    recipe, splits, classifier = inputs.recipe, inputs.splits, inputs.classifier
    assert recipe.epochs is not None
    assert recipe.batch_tokens is not None
    lesson = room_of(splits.train.task).lesson(classifier, recipe, splits, processes)
    job = Job(
        classifier,
        recipe,
        lesson.train,
        lesson.held_out,
        Plan(lesson.train.lengths, recipe.epochs, recipe.batch_tokens, recipe.seed),
        _loop_settings(recipe, packed=can_pack(classifier.model)),
        evaluate=lesson.evaluate,
        checkpoints=directory.checkpoints,
        resume=resume,
        on_progress=listener.training,
        should_stop=should_stop,
        where=splits.train.where,
        on_note=listener.note,
        processes=processes,
    )
    fitted, classifier = fine_tune(job)
    processes.from_main(lambda: directory.log(fitted.history))
    listener.trained(fitted)
    listener.note(f"peak memory: {memory(fitted.peak_memory_bytes)}")
    return fitted, classifier


def _loop_settings(recipe: Recipe, *, packed: bool) -> LoopSettings:
    assert recipe.learning_rate is not None
    assert recipe.precision != "auto"
    return LoopSettings(
        learning_rate=recipe.learning_rate,
        head_learning_rate_factor=recipe.head_learning_rate_factor,
        schedule=recipe.schedule,
        warmup_fraction=recipe.warmup_fraction,
        micro_batch_tokens=recipe.micro_batch_tokens,
        weight_decay=recipe.weight_decay,
        max_gradient_norm=recipe.max_gradient_norm,
        precision=recipe.precision,
        seed=recipe.seed,
        early_stopping=recipe.early_stopping,
        packed=packed,
    )


def _finish(
    inputs: _Inputs, fitted: Fitted, directory: RunDirectory, listener: Listener, processes: Processes
) -> dict[str, Any]:
    """Judge the trained model, write the run, and return its report."""
    room = room_of(inputs.splits.train.task)
    answerer = room.answerer(inputs.classifier, inputs.recipe, inputs.splits)
    report = _judge(inputs, fitted, answerer, listener, processes)
    listener.judged(report)
    listener.stage("write")
    return _write(directory, inputs, report, room.thresholds(answerer))


def _judge(
    inputs: _Inputs, fitted: Fitted, answerer: Any, listener: Listener, processes: Processes
) -> Report:
    splits, recipe, room = inputs.splits, inputs.recipe, room_of(inputs.splits.train.task)
    test = room.judged(splits.test, recipe)
    if len(test) < len(splits.test):
        listener.note(f"of {len(splits.test):,} test rows {len(test):,} are answered (`judged_rows`)")
    rivals = room.rivals(recipe, splits.train, test)
    provenance = _provenance(inputs, processes)
    judging = Judging(provenance, recipe.seed, fitted.history, fitted.seconds, fitted.peak_memory_bytes)
    return room.judge(answerer, test, rivals, judging)


def _provenance(inputs: _Inputs, processes: Processes) -> dict[str, str]:
    splits = inputs.splits
    return {
        "base": inputs.recipe.base,
        "method": inputs.recipe.method,
        "parameters": f"{inputs.classifier.parameters:,}",
        # names without directories: the report and the card get published
        "data": ", ".join(f"{name}: {Path(path).name}" for name, path in inputs.sources.items()),
        "split": splits.how,
        "train sha256": splits.train.sha256,
        "test sha256": splits.test.sha256,
        "seed": str(inputs.recipe.seed),
        **({"processes": f"{processes.count} ({inputs.recipe.parallel})"} if processes.count > 1 else {}),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    import torch
    import transformers

    return {
        "tunesmith": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


def _write(
    directory: RunDirectory, inputs: _Inputs, report: Report, thresholds: Thresholds | None
) -> dict[str, Any]:
    task, recipe = inputs.splits.train.task, inputs.recipe
    values = report.to_dict()
    write_bundle(
        directory.model,
        inputs.classifier,
        task=task,
        recipe=recipe,
        report=values,
        data_report=inputs.data_report.to_dict(),
        card=as_model_card(report, task=task, recipe=recipe, name=directory.path.name),
        thresholds=thresholds,
        overwrite=True,
    )
    directory.finish(values, as_html(report, title=directory.path.name))
    return values


def load(path: str | Path) -> Predictor:
    """Open a bundle that gives labels, verify it and load its model; a run stands for its `model`."""
    return find_bundle(path).predictor()


def load_writer(path: str | Path) -> Writer:
    """Open a bundle that writes, as `load` opens one that gives labels."""
    return find_bundle(path).writer()


def mend_file(
    data: str | Path,
    out: str | Path,
    *,
    task: Task | str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    kind: Kind | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Mend what can be mended safely, write the rest to `out`, and say what was done."""
    refuse_existing(Path(out), overwrite)
    given: Task | None = _config(task, Task)
    dataset = read(data, given, text_column=text_column, label_column=label_column, kind=kind, lenient=True)
    mended, done = mend(dataset, labels_given=bool(given and given.labels))
    write_dataset(out, mended)
    return (*dataset.notes, *done)


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
    listener: Listener | None = None,
) -> Report:
    """Judge a bundle on a labelled file; with `train_data`, beside rivals trained on it."""
    listener = listener or Listener()
    bundle = find_bundle(model)
    listener.stage("read")
    columns = _Columns(text_column, label_column)
    test = _read_for(bundle, data, columns, listener)
    train_set = _read_for(bundle, train_data, columns, listener) if train_data else None
    listener.stage("evaluate")
    room = room_of(bundle.task)
    test = room.judged(test, bundle.recipe)
    rivals = room.rivals(bundle.recipe, train_set, test) if train_set else ()
    provenance = {"model": str(bundle.path), "data": str(data), "test sha256": test.sha256, **_versions()}
    return room.judge(bundle.answerer(), test, rivals, Judging(provenance, bundle.recipe.seed))


def _read_for(bundle: Bundle, path: str | Path, columns: _Columns, listener: Listener) -> Dataset:
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
    _refuse_unfit(check(dataset, labels_given=True))
    return dataset


def known_column(name: str | None, sample: Sequence[Row]) -> str | None:
    """The column that a task names, where the rows have it."""
    return name if any(name in row.values for row in sample) else None


def _refuse_unfit(report: DataReport) -> None:
    """Raise DataError with the errors, but those of data that is only too uniform to learn from."""
    problems = [problem for problem in report.problems if problem.code not in _NO_FAULTS_OF_A_TEST]
    replace(report, problems=tuple(problems)).raise_if_failed()


def check_file(
    data: str | Path,
    *,
    held_out: Mapping[str, str | Path] | None = None,
    task: Task | str | Path | None = None,
    base: str = "embedded",
    text_column: str | None = None,
    label_column: str | None = None,
    kind: Kind | None = None,
    lenient: bool = False,
) -> tuple[Dataset, DataReport]:
    """Read and check labelled text, and say how much of it the base can read."""
    given: Task | None = _config(task, Task)
    dataset = read(
        data, given, text_column=text_column, label_column=label_column, kind=kind, lenient=lenient
    )
    others = {name: read(path, dataset.task, lenient=lenient) for name, path in (held_out or {}).items()}
    report = check(dataset, held_out=others, labels_given=bool(given and given.labels))
    if not len(dataset):
        return dataset, report
    reader = load_reader(base)
    room = room_of(dataset.task)
    return dataset, room.token_report(report, dataset, reader.tokenizer, reader.window)
