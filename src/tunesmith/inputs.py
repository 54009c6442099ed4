"""What training reads before it begins: data, task, recipe and base, and how they are described."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith import __version__
from tunesmith.config import read_config
from tunesmith.data.cache import cache_directory
from tunesmith.data.check import DataReport, check
from tunesmith.data.dataset import Dataset, Splits
from tunesmith.data.parting import Parting, parted
from tunesmith.data.read import read
from tunesmith.data.split import split
from tunesmith.errors import DataError, Problem
from tunesmith.evaluation.understanding.understood import Asked
from tunesmith.files import sha256_bytes
from tunesmith.listener import Listener
from tunesmith.model.fingerprint import fingerprint
from tunesmith.model.layers import block_count, linear_layers
from tunesmith.model.learner import Learner
from tunesmith.model.load import base_location
from tunesmith.model.packed import can_pack
from tunesmith.model.recomputing import activation_bytes_per_token
from tunesmith.processes import ALONE, Processes
from tunesmith.recipe import DataFacts, Recipe, are_few, for_examples, reasons_for, resolve
from tunesmith.room import room_of
from tunesmith.task import Kind, Task
from tunesmith.training.memory import free_bytes
from tunesmith.training.methods import refuse_for_preferences, refuse_unavailable, refuse_unfit
from tunesmith.training.precision import bf16_in_hardware, fp16_in_hardware
from tunesmith.training.state import LoopSettings

__all__ = [
    "Columns",
    "Inputs",
    "Material",
    "agreed",
    "base_and_recipe",
    "describe",
    "given",
    "loop_settings",
    "prepare",
    "prepare_base",
    "prepare_rows",
    "provenance",
    "read_splits",
    "refuse_differences",
    "versions",
]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns, and the kind of their labels, that the caller named."""

    text: str | None
    label: str | None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What is read of the data, before any base is loaded."""

    splits: Splits
    data_sha256: str
    data_report: DataReport
    recipe: Recipe
    """As it was asked for, but for the nulls that the split needs."""
    sources: dict[str, str]
    few_examples: bool
    asked: Recipe
    """What reasons are told for."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What `train` reads before it begins."""

    splits: Splits
    data_sha256: str
    """The hash of all rows that were parted"""
    data_report: DataReport
    recipe: Recipe
    classifier: Learner
    sources: dict[str, str]
    reasons: dict[str, str]
    """Why what `auto` left open became what it is."""
    asked: Asked = field(default_factory=Asked)
    """What the report should say beyond what every one does"""


def given(value: Any, kind: Any) -> Any:
    """A Task or Recipe, read where `value` is the path of one."""
    return read_config(Path(value), kind) if isinstance(value, (str, Path)) else value


def agreed(recipe: Callable[[], Recipe], processes: Processes) -> Recipe:
    """The main process's recipe: what is free or can be done may be otherwise for another."""
    if processes.count == 1:
        return recipe()
    return Recipe.model_validate(processes.from_main(lambda: recipe().model_dump(mode="json")))


def prepare(
    sources: Mapping[str, str],
    task: Task | None,
    recipe: Recipe,
    listener: Listener,
    columns: Columns,
    processes: Processes,
) -> Inputs:
    """Read, check and split the data, load the base, and resolve the recipe by both.

    `sources` are the paths of `train` and, where they are given, `validation` and `test`. Raises UserError
    with all that is wrong.
    """
    return prepare_base(read_splits(sources, task, recipe, listener, columns), listener, processes)


def read_splits(
    sources: Mapping[str, str], task: Task | None, recipe: Recipe, listener: Listener, columns: Columns
) -> Material:
    """Read, check and split the data; the first half of `prepare`."""
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
    splits = parted(dataset, sources["train"], held_out, sources, _parting(recipe))
    return Material(splits, dataset.sha256, report, recipe, dict(sources), few, asked)


def prepare_rows(dataset: Dataset, recipe: Recipe, listener: Listener) -> Inputs:
    """As `prepare`, of rows in memory that bear labels of their task; none is kept for a test.

    Raises UserError with all that is wrong.
    """
    base_location(recipe.base)
    refuse_unavailable(recipe)
    listener.stage("check")
    # rows are given again and again where models are compared: what is nearly said twice is not looked for
    report = check(dataset, labels_given=True, most_compared=0).raise_if_failed()
    asked, few = recipe, are_few(len(dataset), len(dataset.task.labels))
    recipe = for_examples(recipe, few=few)
    assert recipe.validation_fraction is not None
    splits = split(
        dataset, seed=recipe.seed, validation_fraction=recipe.validation_fraction, test_fraction=0.0
    )
    return prepare_base(Material(splits, dataset.sha256, report, recipe, {}, few, asked), listener, ALONE)


def prepare_base(material: Material, listener: Listener, processes: Processes) -> Inputs:
    """Load the base and resolve the recipe by it and the data; the second half of `prepare`."""
    splits, report, recipe, few = (
        material.splits,
        material.data_report,
        material.recipe,
        material.few_examples,
    )
    listener.stage("tokenise")
    if splits.train.mapped is not None:
        listener.note(f"rows and tokens of this large set are kept for later runs in {cache_directory()}")
    classifier, facts, report = _load_base(recipe, splits, report, few, processes)
    listener.checked(report)
    listener.note(splits.how)
    resolved = resolve(recipe, facts)
    refuse_unfit(resolved, classifier.model, processes.count)
    if splits.train.task.kind == "preference":
        refuse_for_preferences(resolved, processes.count)
    reasons = reasons_for(material.asked, facts)
    for name, reason in reasons.items():
        listener.note(f"{name}: {str(getattr(resolved, name)).lower()}, as {reason}")
    if processes.count > 1:
        listener.note(f"{processes.count} processes, {resolved.parallel}: each takes a share of every step")
    elif resolved.parallel is not None:
        listener.note(f"one process: there is nothing to spread with `parallel: {resolved.parallel}`")
    if not can_pack(classifier.model):
        kind = classifier.model.config.model_type
        listener.note(f"texts are padded: how to do without is not known for this kind of {kind}")
    return Inputs(splits, material.data_sha256, report, resolved, classifier, material.sources, reasons)


def _parting(recipe: Recipe) -> Parting:
    assert recipe.validation_fraction is not None
    return Parting(
        recipe.seed,
        recipe.validation_fraction,
        recipe.test_fraction,
        recipe.group_column,
        recipe.time_column,
        recipe.split,
        recipe.fold,
    )


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
        preferences=splits.train.task.kind == "preference",
    )
    return base, facts, report


def base_and_recipe(recipe: Recipe, splits: Splits, report: DataReport) -> tuple[Learner, Recipe]:
    """The base for these training rows, and the recipe as it is resolved for them; in one process."""
    labels = len(splits.train.task.labels)
    few = splits.train.task.kind == "single_label" and are_few(len(splits.train), labels)
    learner, facts, _ = _load_base(recipe, splits, report, few, ALONE)
    return learner, resolve(recipe, facts)


def _parts(recipe: Recipe, processes: Processes) -> int:
    """Over how many devices gradients and moments are spread."""
    return processes.count if recipe.parallel == "fsdp" else 1


def describe(inputs: Inputs) -> dict[str, Any]:
    """What run.json says of the inputs; a run that is resumed must agree with it."""
    splits = inputs.splits
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        "sources": {name: str(Path(path).resolve()) for name, path in inputs.sources.items()},
        "sha256": {name: part.sha256 for name, part in parts.items()},
        "split": splits.how,
        "task": splits.train.task.model_dump(mode="json"),
        # a run may go on with another number of processes, and judge what it made for longer or shorter
        "recipe": inputs.recipe.model_dump(mode="json", exclude={"parallel", "rival_seconds"}),
        "base": fingerprint(inputs.classifier),
    }


def refuse_differences(about: Mapping[str, Any], processes: Processes) -> None:
    """Raise DataError, in all processes, where they have read other data or another base."""
    # the same files may lie elsewhere on another machine
    mine = json.dumps({name: value for name, value in about.items() if name != "sources"}, sort_keys=True)
    digests = processes.texts(sha256_bytes(mine.encode()))
    others = [f"process {rank}" for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        what = f"{', '.join(others)} read other data or another base than process 0"
        fix = "give every machine the same files, and start the same command on all of them"
        processes.agree(DataError(Problem("processes-differ", what, "the data and the base", fix)))


def loop_settings(recipe: Recipe, *, packed: bool) -> LoopSettings:
    """The part of a resolved recipe that the loop needs."""
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
        keep=recipe.keep,
        # people count epochs, the loop evaluations
        early_stopping=recipe.early_stopping * recipe.evaluations_per_epoch if recipe.keep == "best" else 0,
        evaluations_per_epoch=recipe.evaluations_per_epoch,
        packed=packed,
    )


def provenance(inputs: Inputs, processes: Processes) -> dict[str, str]:
    """Where a model comes from, for its report and card."""
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
        **versions(),
    }


def versions() -> dict[str, str]:
    """The versions of what computes."""
    import torch
    import transformers

    return {
        "tunesmith": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
