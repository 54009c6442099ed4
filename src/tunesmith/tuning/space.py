"""The space that is searched: made once of what fields declare, people ask for and the defaults become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self, cast, get_args

from pydantic import ValidationError

from tunesmith.ranges import Around, Choices, Range, Scalar, Search, declared, searched
from tunesmith.recipe import Recipe

if TYPE_CHECKING:
    import optuna

__all__ = ["Dimension", "is_read", "space_of", "suggested"]

_ADAPTERS = ("lora", "qlora")
_READ_BY: Mapping[str, tuple[str, ...]] = {
    "lora_rank": _ADAPTERS,
    "lora_dropout": _ADAPTERS,
}
# `head` alone is a convex problem: nothing of the loop touches it
_READ_BY_HEAD = ("method", "class_weights")


@dataclass(frozen=True, slots=True)
class Dimension:
    """A key of the recipe and where it is searched: from `low` to `high`, or among `choices`."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Scalar, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The dimension that `to_dict` wrote."""
        known = {each.name: values[each.name] for each in fields(cls) if each.name in values}
        return cls(**known | {"choices": tuple(values["choices"])})

    def to_dict(self) -> dict[str, Any]:
        """The dimension as JSON values."""
        return asdict(self) | {"choices": list(self.choices)}

    def holds(self, value: object) -> bool:
        """Whether the value lies in it."""
        if self.choices:
            return value in self.choices
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def suggest(self, trial: optuna.Trial) -> Scalar:
        """The value that the study's sampler draws, or the one that was put into its queue."""
        if self.choices:
            drawn: Any = trial.suggest_categorical(self.name, self.choices)
            return cast("Scalar", drawn)
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)


def is_read(name: str, method: str) -> bool:
    """Whether a recipe of this method reads the key at all."""
    if method == "head":
        return name in _READ_BY_HEAD
    return method in _READ_BY.get(name, (method,))


def suggested(space: Sequence[Dimension], trial: optuna.Trial, method: str) -> dict[str, Scalar]:
    """A value for each key that the trial's method reads; `method` where that is not searched."""
    values: dict[str, Scalar] = {}
    for dimension in space:
        if is_read(dimension.name, str(values.get("method", method))):
            values[dimension.name] = dimension.suggest(trial)
    return values


def space_of(
    asked: Recipe,
    defaults: Mapping[str, Any],
    *,
    usable: Callable[[str], bool] = lambda _: True,
    labelled: bool = True,
) -> tuple[Dimension, ...]:
    """The dimensions, in the order of the recipe's keys.

    Searched is what `asked.search` says, and else every key that declares it and that the recipe leaves as it
    is by default. `defaults` are the values that the recipe becomes without a search: a declared range is
    stretched to hold them. A method that is not `usable` here is left out, and so is what tasks without
    labels do not read.
    """
    found = []
    for name, mark in declared(Recipe).items():
        said = asked.search.get(name)
        if said is not None:
            search, stretched = searched(Recipe, name, said), None
        elif _left_open(asked, name, mark) and (labelled or name != "class_weights"):
            search, stretched = mark, defaults.get(name)
        else:
            continue
        if search is not None:
            found.append(_dimension(name, _usable(name, search, usable), defaults.get(name), stretched))
    return tuple(dimension for dimension in found if _is_reached(dimension.name, found, defaults))


def _left_open(asked: Recipe, name: str, mark: Search) -> bool:
    return mark.unasked and getattr(asked, name) == Recipe.model_fields[name].get_default()


def _usable(name: str, search: Search, usable: Callable[[str], bool]) -> Search:
    if name != "method" or not isinstance(search, Choices):
        return search
    return Choices(tuple(value for value in search.values if usable(str(value))))


def _is_reached(name: str, space: Sequence[Dimension], defaults: Mapping[str, Any]) -> bool:
    """Whether any method that is searched reads the key."""
    methods = next((each.choices for each in space if each.name == "method"), ())
    return any(is_read(name, str(method)) for method in (*methods, defaults["method"]))


def _dimension(name: str, search: Search, default: Any, stretched: Any) -> Dimension:
    match search:
        case Choices(values):
            others = () if stretched is None or stretched in values else (stretched,)
            return Dimension(name, choices=(*values, *others))
        case Around(factor):
            low, high = default / factor, _allowed(name, default * factor, default)
            return _range(name, low, high, log=True)
        case Range(low, high, log):
            within = [low, high] if stretched is None else [low, high, stretched]
            return _range(name, min(within), max(within), log=log)


def _range(name: str, low: float, high: float, *, log: bool) -> Dimension:
    annotation = Recipe.model_fields[name].annotation
    whole = annotation is int or int in get_args(annotation)
    if whole:
        low, high = max(1, round(low)), max(1, round(high))
    return Dimension(name, low, high, log, whole)


def _allowed(name: str, value: float, otherwise: float) -> float:
    """The value where the recipe may have it."""
    whole = round(value) if isinstance(otherwise, int) else value
    try:
        Recipe.model_validate({name: whole})
    except ValidationError:
        return otherwise
    return whole
