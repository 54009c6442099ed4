"""The bases under adapters: each is read once, and held as long as an adapter on it lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from safetensors import SafetensorError

from tunesmith.errors import BaseError, BundleError, Problem
from tunesmith.model.base import Reader, reader_at
from tunesmith.model.fingerprint import fingerprint
from tunesmith.model.load import Classifier, load_classifier, name_labels
from tunesmith.recipe import Recipe
from tunesmith.task import Task

__all__ = ["AdaptedClassifier", "Base", "Bases", "adapted", "open_adapted", "read_base"]

_WHOLE = "or use the run that it was exported from, whose weights are whole"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Base:
    """A model whose weights several adapters use."""

    model: Any
    sha256: str
    """Of its weights, as `fingerprint` has it"""


@dataclass(frozen=True, slots=True)
class AdaptedClassifier(Classifier):
    """A classifier whose weights are those of a base, but for its adapter and its head."""

    # held, so that `Bases` has it for the next adapter as long as this one lives
    base: Base = field(kw_only=True)


class Bases:
    """Knows the bases of all adapters that were opened with it, as long as one of them lives.

    `share` is given each base that was read, before an adapter uses it.
    """

    def __init__(self, share: Callable[[Any], object] = lambda _model: None) -> None:
        self._share = share
        self._held: WeakValueDictionary[str, Base] = WeakValueDictionary()

    def holds(self, sha256: str) -> bool:
        """Whether the base with these weights is in memory."""
        return sha256 in self._held

    def get(self, sha256: str, read: Callable[[], Base]) -> Base:
        """The base with these weights; what `read` gives, and must be it, where it is not in memory."""
        held = self._held.get(sha256)
        if held is None:
            held = read()
            self._share(held.model)
            self._held[sha256] = held
        return held


def open_adapted(directory: Path, recipe: Recipe, task: Task, sha256: str, bases: Bases) -> AdaptedClassifier:
    """The classifier whose adapter lies in `directory`, on the base with these weights.

    Raises BundleError where the recipe's base is not there, cannot be opened, or has become another.
    """
    base = bases.get(sha256, lambda: _checked_base(directory, recipe, task, sha256))
    return adapted(base, directory, reader_at(str(directory.absolute())), task)


def adapted(base: Base, directory: Path, reader: Reader, task: Task) -> AdaptedClassifier:
    """`base` with the adapter in `directory`; the weights of the base are not copied.

    Raises BundleError where its file holds none, or one of another base.
    """
    from tunesmith.model.adapter import adapt, read_adapter

    try:
        model = adapt(base.model, read_adapter(directory))
    except (SafetensorError, OSError, LookupError, AttributeError, ValueError, RuntimeError) as error:
        what, fix = f"the adapter cannot be used: {error}", "export it again from the run that it is of"
        raise BundleError(Problem("bundle-damaged", what, str(directory), fix)) from error
    name_labels(model.config, task.labels, task.kind)
    return AdaptedClassifier(reader.tokenizer, reader.window, model, task.labels, task.kind, base=base)


def read_base(recipe: Recipe, task: Task) -> Base:
    """The base that the recipe names, from wherever it is; raises BaseError."""
    read = load_classifier(recipe.base, task.labels, kind=task.kind, revision=recipe.revision)
    return Base(read.model, fingerprint(read)["weights"])


def _checked_base(directory: Path, recipe: Recipe, task: Task, sha256: str) -> Base:
    where = f"`base: {recipe.base}` in {directory / 'recipe.yaml'}"
    try:
        base = read_base(recipe, task)
    except BaseError as error:
        # the reason may hold a path, and what is wrong is told over HTTP as well
        reason = "; ".join(problem.what for problem in error.problems)
        fix = f"put the base there ({reason}); {_WHOLE}"
        what = "the base of this adapter is not there, or cannot be opened"
        raise BundleError(Problem("base-missing", what, where, fix)) from error
    if base.sha256 != sha256:
        fix = f"put the base there as it was then; {_WHOLE}"
        what = "the base is not the one that the adapter was trained on: its weights are others"
        raise BundleError(Problem("another-base", what, where, fix))
    return base
