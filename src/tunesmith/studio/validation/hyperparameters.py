"""Hyperparameters: `auto` becomes a number once the examples are counted; numbers become a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Hyperparameters", "as_method", "settled"]

_AUTO_EPOCHS = 3
_FEWEST_VIEWS, _MOST_VIEWS = 100, 25_000
_MOST_AUTO_EPOCHS = 25
# that of a recipe, which is taken where it leaves so many steps
_EXAMPLES_A_STEP = 16
_STEPS_WANTED = 100
_AUTO_BETA = 0.1


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a job trains with; a step has about `batch_size` examples.

    The learning rate is what the engine would choose itself for this base, method and data, times
    `learning_rate_multiplier`. `beta` is only of jobs that learn from preferences.
    """

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    beta: float | None = None


def settled(method: Mapping[str, Any], examples: int) -> Hyperparameters:
    """The hyperparameters of a job's method, with a number for each that is `auto` or left out.

    Epochs are 3, but as many as show 100 examples and at most 25, and as few as show 25,000. A step has 16
    examples, or as many fewer as leave 100 steps.
    """
    kind = str(method.get("type", "supervised"))
    given: Mapping[str, Any] = (method.get(kind) or {}).get("hyperparameters") or {}
    asked = {name: value for name, value in given.items() if value not in (None, "auto")}
    epochs = int(asked.get("n_epochs", _epochs(examples)))
    return Hyperparameters(
        n_epochs=epochs,
        batch_size=int(asked.get("batch_size", _batch_size(examples, epochs))),
        learning_rate_multiplier=float(asked.get("learning_rate_multiplier", 1.0)),
        beta=float(asked.get("beta", _AUTO_BETA)) if kind == "dpo" else None,
    )


def as_method(method: Mapping[str, Any], found: Hyperparameters) -> dict[str, Any]:
    """The method with these numbers in it."""
    kind = str(method.get("type", "supervised"))
    values = {name: value for name, value in asdict(found).items() if value is not None}
    return {"type": kind, kind: {"hyperparameters": values}}


def _epochs(examples: int) -> int:
    if examples * _AUTO_EPOCHS < _FEWEST_VIEWS:
        return min(_MOST_AUTO_EPOCHS, _FEWEST_VIEWS // max(1, examples))
    if examples * _AUTO_EPOCHS > _MOST_VIEWS:
        return max(1, _MOST_VIEWS // examples)
    return _AUTO_EPOCHS


def _batch_size(examples: int, epochs: int) -> int:
    return max(1, min(_EXAMPLES_A_STEP, examples * epochs // _STEPS_WANTED))
