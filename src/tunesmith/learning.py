"""The learning curve of a run: its recipe on shares of its training rows, and what more rows would bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.data.dataset import Dataset
from tunesmith.data.nested import nested
from tunesmith.errors import ConfigError, Problem
from tunesmith.evaluation.learning import Learned, build_learning_curve
from tunesmith.evaluation.learning_rival import tfidf_predictions
from tunesmith.evaluation.predictions import Predictions, label_predictions, read_predictions
from tunesmith.evaluation.types import LearningCurve
from tunesmith.files import atomic_file, read_json, write_json
from tunesmith.fitting import fit_learner
from tunesmith.inputs import Inputs, base_and_recipe
from tunesmith.listener import Listener
from tunesmith.predict import Predictor, in_chunks
from tunesmith.processes import Processes
from tunesmith.recipe import Recipe
from tunesmith.room import room_of
from tunesmith.training.checkpoint import Checkpoints

__all__ = ["Curve", "refuse_learning_curve"]

_SHARES = (1 / 8, 1 / 4, 1 / 2)
_FEWEST_ROWS, _FEWEST_ROWS_PER_LABEL = 16, 2
_FEWEST_SIZES = 2
# token ids of more texts need not be held at once
_ANSWERED_AT_ONCE = 1 << 16
# as resolved for all rows: memory and hardware are the same for fewer
_AS_RESOLVED = ("method", "precision", "gradient_checkpointing", "validation_fraction", "max_tokens")


def refuse_learning_curve(inputs: Inputs, processes: Processes) -> None:
    """Raise ConfigError where no learning curve can be made of these rows or in these processes."""
    fix = "leave out --learning-curve"
    if processes.count > 1:
        what = "a learning curve trains its models in one process, and several were started"
        raise ConfigError(Problem("one-process", what, "--learning-curve", f"{fix}, or torchrun"))
    train = inputs.splits.train
    if train.task.writes:
        what = "a learning curve needs labels, and this task writes text"
        raise ConfigError(Problem("no-learning-curve", what, "--learning-curve", fix))
    if not len(inputs.splits.test):
        what = "a learning curve stands in the report on the test rows, and no rows are kept for a test"
        keep = "give a test file, or a larger `test_fraction`"
        raise ConfigError(Problem("no-learning-curve", what, "--learning-curve", f"{fix}, or {keep}"))
    if len(_sizes(train)) < _FEWEST_SIZES:
        labels = len(train.task.labels)
        what = f"{len(train):,} training rows of {labels} labels are too few to learn from shares of them"
        raise ConfigError(Problem("no-learning-curve", what, "--learning-curve", f"{fix}, or add rows"))


def _sizes(train: Dataset) -> list[int]:
    fewest = max(_FEWEST_ROWS, _FEWEST_ROWS_PER_LABEL * len(train.task.labels))
    return [size for share in _SHARES if (size := round(share * len(train))) >= fewest]


@dataclass(frozen=True, slots=True)
class Curve:
    """What it takes to train on shares of the rows of a run; `asked` is its recipe before it was resolved.

    What is done is kept at `place`, and where `resume` finds it there, it is not done again.
    """

    inputs: Inputs
    asked: Recipe
    place: Path
    resume: bool
    listener: Listener
    should_stop: Callable[[], bool]

    def of(self, answerer: Predictor, train_seconds: float) -> LearningCurve:
        """The curve up to the run's own model, which `answerer` asks; raise Interrupted when stopped."""
        splits, seed = self.inputs.splits, self.inputs.recipe.seed
        sizes = _sizes(splits.train)
        self.listener.note(f"the same recipe on {', '.join(f'{size:,}' for size in sizes)} training rows")
        learned = []
        for rows in nested(splits.train, sizes, seed):
            learned.append(self._learned(splits.train.take(rows)))
        rival = tfidf_predictions(splits.train, self._judged_on, seed)
        whole = Learned(len(splits.train), self._answered(answerer), rival, train_seconds)
        return build_learning_curve([*learned, whole], self._measured_on, seed)

    @property
    def _measured_on(self) -> Literal["validation", "test"]:
        # the test rows are kept for the report; nothing is chosen by the curve where they must serve
        return "validation" if len(self.inputs.splits.validation) else "test"

    @property
    def _judged_on(self) -> Dataset:
        return getattr(self.inputs.splits, self._measured_on)  # type: ignore[no-any-return]

    def _learned(self, train: Dataset) -> Learned:
        """Train on these rows, or read what was found when that was done before."""
        files = {name: self.place / f"{len(train)}-{name}.parquet" for name in ("model", "rival")}
        done = self.place / f"{len(train)}.json"
        if not (self.resume and done.is_file()):
            model, seconds = self._trained(train)
            rival = tfidf_predictions(train, self._judged_on, self.inputs.recipe.seed)
            for name, found in (("model", model), ("rival", rival)):
                with atomic_file(files[name]) as stream:
                    stream.write(found.to_bytes())
            write_json(done, {"train_seconds": seconds})
        kept = {name: read_predictions(path) for name, path in files.items()}
        return Learned(len(train), kept["model"], kept["rival"], read_json(done)["train_seconds"])

    def _trained(self, train: Dataset) -> tuple[Predictions, float]:
        splits = replace(self.inputs.splits, train=train)
        learner, recipe = base_and_recipe(self._recipe(), splits, self.inputs.data_report)
        self.listener.note(f"{len(train):,} rows, {recipe.epochs} epochs")
        checkpoints = Checkpoints(self.place / f"{len(train)}.checkpoints")
        fitted, learner = fit_learner(
            learner,
            recipe,
            splits,
            checkpoints,
            resume=self.resume,
            listener=self.listener,
            should_stop=self.should_stop,
        )
        found = self._answered(room_of(train.task).answerer(learner, recipe, splits))
        checkpoints.clear()
        return found, fitted.seconds

    def _recipe(self) -> Recipe:
        """What was asked for, with what the machine decides; a base that has read on is taken as it is."""
        resolved = self.inputs.recipe
        known: dict[str, Any] = {name: getattr(resolved, name) for name in _AS_RESOLVED}
        if resolved.adapt is not None:
            known |= {"base": str(self.place.with_name("adapted")), "revision": None}
        return self.asked.model_copy(update=known)

    def _answered(self, answerer: Predictor) -> Predictions:
        judged = self._judged_on
        chunks = in_chunks(chain.from_iterable(judged.text_batches()), _ANSWERED_AT_ONCE)
        probabilities = np.concatenate([answerer.probabilities(answerer.encode(texts)) for texts in chunks])
        several = judged.task.kind == "multi_label"
        return label_predictions(
            judged, probabilities, answerer.thresholds.given(probabilities) if several else None
        )
