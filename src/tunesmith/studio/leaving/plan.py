"""What was found in an export -> the job that a studio makes of it, or the recipe of the same training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.config import write_config
from tunesmith.errors import ConfigError, Problem
from tunesmith.files import refuse_existing
from tunesmith.recipe import Recipe
from tunesmith.studio.ids import is_suffix
from tunesmith.studio.job_recipe import job_recipe
from tunesmith.studio.leaving.export import Export
from tunesmith.studio.leaving.remote import RemoteStudio
from tunesmith.studio.validation.hyperparameters import Hyperparameters, as_method, settled

__all__ = ["Plan", "chosen_base", "planned"]

_SEED = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The job, with a number for each hyperparameter."""

    export: Export
    model: str
    """The base"""
    suffix: str | None
    numbers: Hyperparameters

    def job(self, training_file: str, validation_file: str | None) -> dict[str, Any]:
        """What is asked of a studio, once it has the files."""
        return {
            "model": self.model,
            "training_file": training_file,
            "validation_file": validation_file,
            "suffix": self.suffix,
            "seed": _SEED,
            "method": as_method({"type": self.export.method}, self.numbers),
        }

    def start(self, studio: RemoteStudio) -> str:
        """Send the files and make the job; its id. Raises ServiceError or StorageError."""
        validation = self.export.validation
        training_file = studio.upload(self.export.training)
        return studio.start(self.job(training_file, studio.upload(validation) if validation else None))

    @property
    def recipe(self) -> Recipe:
        """How `tunesmith train` does what a studio would."""
        return job_recipe(self.numbers, self.model, _SEED, {})

    def write(self, directory: Path, *, overwrite: bool) -> None:
        """Write task.yaml and recipe.yaml; raises StorageError."""
        paths = directory / "task.yaml", directory / "recipe.yaml"
        for path in paths:
            refuse_existing(path, overwrite)
        # a column that is named is one that must be there
        write_config(paths[0], self.export.task, only_said=True)
        write_config(paths[1], self.recipe, only_said=True)

    def to_dict(self) -> Mapping[str, Any]:
        """Plain values, without the files."""
        return {
            "model": self.model,
            "suffix": self.suffix,
            **as_method({"type": self.export.method}, self.numbers),
        }


def planned(export: Export, model: str, suffix: str | None) -> Plan:
    """The job with what `auto` becomes for these files; raises ConfigError where the suffix is none."""
    if suffix is not None and not is_suffix(suffix):
        fix = "take 1 to 64 letters, digits, dots, hyphens or underscores"
        raise ConfigError(Problem("bad-value", f"{suffix!r} cannot stand in a name", "--suffix", fix))
    return Plan(export, model, suffix, settled({"type": export.method}, export.examples))


def chosen_base(asked: str | None, studio: RemoteStudio | None) -> str:
    """The base that is asked for, else `embedded` where it is offered, else the first that the studio has."""
    if asked is not None or studio is None:
        return asked or "embedded"
    offered = studio.bases()
    return "embedded" if "embedded" in offered or not offered else offered[0]
