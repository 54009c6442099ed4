"""A job -> the task and the recipe that the engine trains by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.config import parse_values
from tunesmith.recipe import Recipe
from tunesmith.studio.validation.forms import Form
from tunesmith.studio.validation.hyperparameters import Hyperparameters
from tunesmith.task import Task

__all__ = ["job_recipe", "job_task"]

# of a model that writes, the answers are written and compared with references: that takes time
_JUDGED_ROWS = 100
_SEEDS = 2**31


def job_recipe(asked: Hyperparameters, base: str, seed: int, operators: Mapping[str, Any]) -> Recipe:
    """What the job says, then what the operator's keys say, then the engine's own choice.

    All rows of the training file are trained on, and the last weights are kept: the validation file judges
    them, and nothing is chosen by it. Raises ConfigError where the operator's keys are none.
    """
    given = {"judged_rows": _JUDGED_ROWS, "rival_seconds": 0.0} | dict(operators)
    ours: dict[str, Any] = {
        "base": base,
        "epochs": asked.n_epochs,
        "batch_examples": asked.batch_size,
        "learning_rate_factor": asked.learning_rate_multiplier,
        "seed": seed % _SEEDS,
        "early_stopping": 0,
        "validation_fraction": 0.0,
        "test_fraction": 0.0,
    }
    if "learning_rate" in given:
        ours["learning_rate"] = given["learning_rate"] * asked.learning_rate_multiplier
    if asked.beta is not None:
        ours["beta"] = asked.beta
    return parse_values(given | ours, Recipe, "`recipe` of studio.yaml")


def job_task(form: Form, labels: tuple[str, ...]) -> Task:
    """What is learned of lines of a form; with `labels`, which of them a text is answered with."""
    if labels:
        return Task(kind="single_label", labels=labels)
    match form:
        case "chat":
            return Task(kind="chat", text_column="messages")
        case "prompt":
            return Task(kind="completion", text_column="prompt", target_column="completion")
        case "preference":
            return Task(kind="preference")
