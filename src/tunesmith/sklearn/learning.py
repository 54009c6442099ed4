"""Rows in memory -> a predictor, through the stages of `tunesmith.train`; and a predictor <-> bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tunesmith import labels
from tunesmith.adaptation import adapted
from tunesmith.bundle import open_bundle, write_bundle
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.fitting import fit_learner
from tunesmith.inputs import Inputs, prepare_rows
from tunesmith.listener import Listener
from tunesmith.model.forward import Floats
from tunesmith.model.load import Classifier
from tunesmith.predict import Predictor
from tunesmith.recipe import Recipe
from tunesmith.task import Task
from tunesmith.training.checkpoint import Checkpoints

__all__ = ["Learned", "as_bytes", "from_bytes", "learn"]

_CARD = "A classifier that was fine-tuned through scikit-learn's interface. No test set has judged it.\n"


@dataclass(frozen=True, slots=True)
class Learned:
    """A fine-tuned classifier, and how it came about."""

    predictor: Predictor = field(repr=False)
    task: Task
    recipe: Recipe
    """What ran, resolved."""
    data_report: Mapping[str, Any] = field(default_factory=dict, repr=False)
    history: Sequence[Mapping[str, float]] = field(default=(), repr=False)


def learn(
    task: Task,
    texts: Sequence[str],
    targets: Sequence[str],
    weights: Floats | None,
    recipe: Recipe,
    listener: Listener,
) -> Learned:
    """Fine-tune on all rows but those that the recipe keeps for validation; nothing stays on disk.

    `weights`, (rows,), are positive. Raises UserError, and whatever `listener` raises.
    """
    inputs = prepare_rows(dataset_of(task, texts, targets), recipe, listener)
    with _emptied_directory() as place:
        inputs = adapted(
            inputs, place / "adapted", resume=False, listener=listener, should_stop=lambda: False
        )
        teach = partial(labels.lesson, example_weights=_by_part(inputs, weights))
        listener.stage("train")
        fitted, learner = fit_learner(
            inputs.classifier,
            inputs.recipe,
            inputs.splits,
            Checkpoints(place / "checkpoints"),
            resume=False,
            listener=listener,
            should_stop=lambda: False,
            teach=teach,
        )
    assert isinstance(learner, Classifier), "the task has labels"
    predictor = labels.answerer(learner, inputs.recipe, inputs.splits)
    return Learned(predictor, task, inputs.recipe, inputs.data_report.to_dict(), tuple(fitted.history))


def _by_part(inputs: Inputs, weights: Floats | None) -> tuple[Floats, Floats] | None:
    """The weights of the training rows, and of those that are kept for validation."""
    if weights is None:
        return None
    train, validation = (weights[_places(part)] for part in (inputs.splits.train, inputs.splits.validation))
    return train, validation


def _places(part: Dataset) -> Any:
    """(rows,) where each row stood among the rows in memory, which are numbered from 1."""
    return part.table.column("line").to_numpy() - 1


@contextmanager
def _emptied_directory() -> Iterator[Path]:
    with TemporaryDirectory(prefix="tunesmith-") as directory:
        yield Path(directory)


def as_bytes(learned: Learned) -> dict[str, bytes]:
    """The files of the bundle, by name: safetensors, JSON and YAML."""
    with _emptied_directory() as place:
        write_bundle(
            place / "model",
            learned.predictor.classifier,
            task=learned.task,
            recipe=learned.recipe,
            report={},
            data_report=learned.data_report,
            card=_CARD,
        )
        return {path.name: path.read_bytes() for path in sorted((place / "model").iterdir())}


def from_bytes(files: Mapping[str, bytes], history: Sequence[Mapping[str, float]]) -> Learned:
    """Open the files of a bundle; raises BundleError where they are not those that were written."""
    with _emptied_directory() as place:
        for name, data in files.items():
            # names come from whoever wrote the pickle
            (place / Path(name).name).write_bytes(data)
        bundle = open_bundle(place)
        report = bundle.read("data_report.json")
        return Learned(bundle.predictor(), bundle.task, bundle.recipe, report, history)
