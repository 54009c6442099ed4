"""A run's directory: what was asked for, how training goes, and what came of it.

run.json        the data and its hashes, task and recipe as resolved, and whether it is done
split.json      which rows of the training file are for what
metrics.jsonl   one line a measurement
checkpoints/    while training
learning-curve/ while one is made: what is done of it
epochs/         the weights after the latest epochs, where any were asked for
logs/           what trackers keep, where any were asked for
model/          the bundle
report.json, report.html
exports/        the model in other forms, where any were asked for
predictions.parquet   what was answered on each test row, for `tunesmith compare`; no text stands in it
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith import __version__
from tunesmith.data.saved_split import save_split
from tunesmith.errors import Problem, ResumeError
from tunesmith.files import atomic_file, read_json, refuse_existing, sweep, write_json, write_text
from tunesmith.training.checkpoint import FORMAT, Checkpoints
from tunesmith.training.resume import begun, refuse_changes

if TYPE_CHECKING:
    from tunesmith.data.check import DataReport
    from tunesmith.data.dataset import Splits
    from tunesmith.evaluation.types import Report
    from tunesmith.predict import Predictor
    from tunesmith.recipe import Recipe
    from tunesmith.task import Task
    from tunesmith.writer import Writer

__all__ = ["EXPORTS", "Run", "RunDirectory"]

EXPORTS = "exports"
"""Where in a run its exports lie, each named by its form"""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: what ran, on what, and how good it is."""

    directory: Path
    task: Task
    recipe: Recipe
    data_report: DataReport
    report: Report

    @property
    def model_path(self) -> Path:
        """The bundle: a Hugging Face model directory that `tunesmith.load` opens."""
        return self.directory / "model"

    def load(self) -> Predictor:
        """The fine-tuned model, read back from its bundle."""
        from tunesmith.bundle import open_bundle

        return open_bundle(self.model_path).predictor()

    def load_writer(self) -> Writer:
        """The fine-tuned model of a task that writes, read back from its bundle."""
        from tunesmith.bundle import open_bundle

        return open_bundle(self.model_path).writer()


class RunDirectory:
    """Where one run writes; see the module's text for what stands in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model"
        self.logs = path / "logs"
        self.predictions = path / "predictions.parquet"
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.curve = path / "learning-curve"
        self.epochs = path / "epochs"
        self._about = path / "run.json"

    def refuse(self, *, overwrite: bool, resume: bool) -> None:
        """Raise StorageError where something stands here, or ResumeError where nothing can be resumed."""
        if not resume:
            refuse_existing(self.path, overwrite)
        elif begun(self._about).get("done"):
            fix = f"use it: {self.model}; or train anew with --overwrite"
            raise ResumeError(Problem("nothing-to-resume", "the run is finished", str(self.path), fix))

    def as_begun(self, recipe: Recipe) -> Recipe:
        """`recipe` with what `auto` became when the run began: the machine may be another now."""
        resolved = begun(self._about).get("recipe", {})
        left_open = {name for name, value in recipe if value == "auto"}
        return recipe.model_copy(update={name: resolved[name] for name in left_open & resolved.keys()})

    def begin(
        self, about: Mapping[str, Any], *, resume: bool, beside: Mapping[str, Any] | None = None
    ) -> None:
        """Claim the directory for a run described by `about`, or raise ResumeError where it is another.

        What is written `beside` may be otherwise when the run is resumed.
        """
        described = {"format": FORMAT, **about}
        if resume:
            refuse_changes(begun(self._about), described, self._about)
        # what a killed writer left: beside the files of this run, and in place of them
        sweep(self.path)
        if resume:
            return
        # an earlier model stays until the new one stands; half a run of other data must not be resumed
        shutil.rmtree(self.checkpoints.directory, ignore_errors=True)
        shutil.rmtree(self.logs, ignore_errors=True)
        shutil.rmtree(self.curve, ignore_errors=True)
        shutil.rmtree(self.epochs, ignore_errors=True)
        about = {"tunesmith": __version__, "done": False, **described, **(beside or {})}
        write_json(self._about, about)

    def save_split(self, data_sha256: str, splits: Splits) -> None:
        """Write split.json: which rows of the training file went where."""
        path = self.path / "split.json"
        save_split(path, data_sha256, splits.seed, splits.how, parts=splits.part_of_row)

    def log(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write metrics.jsonl."""
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(dict(row)) + "\n" for row in history))

    def finish(self, report: Mapping[str, Any], page: str, predictions: bytes | None) -> None:
        """Write the reports and what was answered, mark the run as done and drop what was kept to go on."""
        if predictions is None:
            self.predictions.unlink(missing_ok=True)
        else:
            with atomic_file(self.predictions) as stream:
                stream.write(predictions)
        write_json(self.path / "report.json", dict(report))
        write_text(self.path / "report.html", page)
        write_json(self._about, read_json(self._about) | {"done": True})
        self.checkpoints.clear()
        shutil.rmtree(self.curve, ignore_errors=True)
        # of the model that stood here before
        shutil.rmtree(self.path / EXPORTS, ignore_errors=True)
