"""One trial: an ordinary training on the splits of the study, which looks at no test row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.config import write_config
from tunesmith.errors import UserError
from tunesmith.inputs import Material, prepare_base
from tunesmith.listener import Listener
from tunesmith.pipeline import fit_inputs
from tunesmith.processes import ALONE
from tunesmith.recipe import Recipe
from tunesmith.run import RunDirectory
from tunesmith.training.checkpoint import Checkpoint, Checkpoints
from tunesmith.tuning.space import suggested
from tunesmith.tuning.study import Plan, Worker, put_back, sampler_for, taken
from tunesmith.tuning.types import said

if TYPE_CHECKING:
    import optuna

    from tunesmith.training.state import Progress

__all__ = ["Objective", "OnEvaluation", "Surplus", "Try", "try_recipe"]

OnEvaluation = Callable[[int, Mapping[str, float]], None]
"""Hears of an evaluation after which epoch it came and what it found; it may raise to end the trial."""

# what says that the recipe is bad, and nothing about the machine or the data
_HOPELESS = frozenset({"bad-loss", "out-of-memory"})


class Surplus(Exception):  # noqa: N818 (no error: another process was quicker)
    """Another process has begun the last trial that was asked for."""


class _BestOnly(Checkpoints):
    """Keeps the best weights while they are needed, and nothing to go on from: a trial begins anew."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep nothing; the caller has made sure that the weights are finite."""


class _Evaluations(Listener):
    """Passes on how far training has come, but for its figures, which go to `on_evaluation`."""

    def __init__(self, listener: Listener, on_evaluation: OnEvaluation) -> None:
        self._listener, self._on_evaluation = listener, on_evaluation

    def training(self, progress: Progress) -> None:
        """A step was taken."""
        self._listener.training(replace(progress, validation=None))
        if progress.validation is not None:
            self._on_evaluation(progress.epoch, progress.validation)


def try_recipe(
    material: Material,
    recipe: Recipe,
    place: Path,
    on_evaluation: OnEvaluation,
    listener: Listener,
    should_stop: Callable[[], bool],
) -> None:
    """Train once; what stays at `place` is the recipe as resolved and the measurements, and no weights."""
    inputs = prepare_base(replace(material, recipe=recipe, asked=recipe), Listener(), ALONE)
    write_config(place / "recipe.yaml", inputs.recipe)
    directory = RunDirectory(place)
    directory.checkpoints = _BestOnly(place / "checkpoints")
    try:
        fit_inputs(inputs, directory, False, _Evaluations(listener, on_evaluation), should_stop, ALONE)
    finally:
        directory.checkpoints.clear()


Try = Callable[[Recipe, Path, OnEvaluation], None]
"""Trains with a recipe at a place, and tells each evaluation."""


@dataclass
class Objective:
    """What the study maximises: the validation score of the weights that a training keeps."""

    study: optuna.Study
    plan: Plan
    recipe: Recipe
    """As it was given, with nothing to be searched"""
    place: Path
    """Where the trials go, each in a directory of its number"""
    most: int | None
    """The trials that were asked for"""
    train: Try
    listener: Listener
    ran: list[int] = field(default_factory=list)
    """The numbers of the trials that ran here to their end"""

    def __call__(self, trial: optuna.Trial) -> float:
        """Run one trial; raises TrialPruned, Surplus, and whatever ends the search."""
        self.study.sampler = sampler_for(self.recipe.seed, trial.number)
        trial.set_user_attr("worker", Worker.here().to_dict())
        if self.most is not None and taken(self.study, before=trial.number) >= self.most:
            self._give_back(trial, "surplus")
            raise Surplus
        try:
            return self._run(trial)
        except UserError as error:
            self._end_if_hopeless(trial, error)
            self._give_back(trial, error.problems[0].code)
            raise
        except (KeyboardInterrupt, Exception) as error:
            if not _is_pruned(error):
                self._give_back(trial, "stopped")
            raise

    def _run(self, trial: optuna.Trial) -> float:
        defaults = bool(trial.user_attrs.get("defaults"))
        params = self._params(trial, defaults)
        self.listener.note(f"trial {trial.number}: {_in_words(params, defaults)}")
        best: dict[str, float] = {}

        def on_evaluation(epoch: int, figures: Mapping[str, float]) -> None:
            score = figures["score"]
            if not best or score > best["score"] or self.recipe.keep == "last":
                best.update(figures)
                trial.set_user_attr("figures", {name: float(value) for name, value in figures.items()})
            # a head that is fitted first is evaluated in the first epoch, as that epoch is
            if epoch not in reported:
                reported.add(epoch)
                trial.report(score, epoch)
                self._prune(trial, epoch, defaults)

        reported: set[int] = set()
        # the defaults as they were given: a null may be more than any value that could be written
        recipe = self.recipe if defaults else self.recipe.model_copy(update=params)
        self.train(recipe, self.place / f"{trial.number:04d}", on_evaluation)
        self.ran.append(trial.number)
        self.listener.note(f"trial {trial.number}: score {best['score']:.4f}")
        return best["score"]

    def _params(self, trial: optuna.Trial, defaults: bool) -> dict[str, object]:
        space = self.plan.space
        if defaults:
            space = tuple(each for each in space if each.name in self.plan.defaults)
        return dict(suggested(space, trial, self.plan.method))

    def _prune(self, trial: optuna.Trial, epoch: int, defaults: bool) -> None:
        import optuna

        # everything is compared with the defaults
        if not defaults and trial.should_prune():
            self.ran.append(trial.number)
            self.listener.note(f"trial {trial.number}: pruned after epoch {epoch}")
            raise optuna.TrialPruned

    def _end_if_hopeless(self, trial: optuna.Trial, error: UserError) -> None:
        import optuna

        problem = error.problems[0]
        if problem.code in _HOPELESS and not trial.user_attrs.get("defaults"):
            trial.set_user_attr("ended", problem.code)
            self.ran.append(trial.number)
            self.listener.note(f"trial {trial.number}: given up, {problem.what}")
            raise optuna.TrialPruned from error

    def _give_back(self, trial: optuna.Trial, why: str) -> None:
        trial.set_user_attr("ended", why)
        # another draw would do as well as one that was never begun
        if why != "surplus" or trial.user_attrs.get("again") is not None or trial.user_attrs.get("defaults"):
            put_back(self.study, trial.number, int(trial.user_attrs.get("cuts", 0)))


def _is_pruned(error: BaseException) -> bool:
    import optuna

    return isinstance(error, optuna.TrialPruned)


def _in_words(params: Mapping[str, object], defaults: bool) -> str:
    """The recipe of a trial in words."""
    values = ", ".join(f"{name} {said(value)}" for name, value in params.items())
    return f"the defaults ({values})" if defaults else values
