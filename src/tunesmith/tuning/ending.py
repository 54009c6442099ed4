"""After the trials: what they found, and the final model, which one process trains for all."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import ConfigError, Problem
from tunesmith.files import write_json, write_text
from tunesmith.inputs import Material
from tunesmith.recipe import Recipe
from tunesmith.tuning.final import Finals, compared, judged_beside
from tunesmith.tuning.importance import importances
from tunesmith.tuning.page import as_page
from tunesmith.tuning.study import Plan, Worker, records
from tunesmith.tuning.types import TrialRecord, Tuning

if TYPE_CHECKING:
    import optuna

__all__ = ["Search", "as_it_stands", "ended", "is_anothers"]

_JUDGED, _FINISHING = "judged", "finishing"


@dataclass(frozen=True, slots=True)
class Search:
    """A search whose trials have ended in this process."""

    study: optuna.Study
    plan: Plan
    material: Material
    place: Path
    storage: str
    """Its URL, without a password"""
    ran: frozenset[int]
    """The trials that this process ran to their end"""


def ended(search: Search, finals: Finals) -> Tuning:
    """The search as it stands, written down; with its final model, where no other process is to train it."""
    found = as_it_stands(search)
    if is_anothers(search.study, search.ran):
        finals.listener.note("other processes are still at trials: the last of them trains the final model")
    else:
        # before the final models: what was found is there to be read
        _write(found, search)
        found = _proven(found, search, finals)
    _write(found, search)
    return found


def _write(found: Tuning, search: Search) -> None:
    write_json(search.place / "tuning.json", found.to_dict())
    write_text(search.place / "tuning.html", as_page(found, search.plan.space))


def as_it_stands(search: Search) -> Tuning:
    """The search without a final model; raises ConfigError where not even the defaults were tried."""
    trials = sorted(records(search.study), key=_rank)
    tried = [trial for trial in trials if trial.state == "complete"]
    default = next((trial for trial in tried if trial.defaults), None)
    if default is None:
        raise _untried(search.storage)
    best, plain = tried[0], search.material.recipe
    recipe = plain if best.defaults else Recipe.model_validate(plain.model_dump() | dict(best.params))
    return Tuning(
        directory=search.place,
        study=search.study.study_name,
        storage=search.storage,
        trials=tuple(trials),
        best=best,
        default=default,
        recipe=recipe,
        importances=importances(search.study, plain.seed),
    )


def is_anothers(study: optuna.Study, ran: Set[int]) -> bool:
    """Whether another process trains the final model: while trials run, or where it ended the last of them.

    `ran` are the trials that this process ran to their end. Of a process that ran none, only where another of
    this machine is at the final model now.
    """
    if any(trial.state == "running" for trial in records(study)):
        return True
    if ran:
        return _last_to_end(study) not in ran
    at_it = study.user_attrs.get(_FINISHING)
    here = Worker.here()
    return at_it is not None and Worker.of(at_it).host == here.host and not Worker.of(at_it).is_gone()


def _proven(found: Tuning, search: Search, finals: Finals) -> Tuning:
    search.study.set_user_attr(_FINISHING, Worker.here().to_dict())
    best, default = search.place / "best", search.place / "defaults"
    report = finals.trained(found.recipe, best)
    rival = None
    if not found.best.defaults:
        # the best model's report has the rivals: this one need not spend time on them
        finals.trained(search.material.recipe.model_copy(update={"rival_seconds": 0.0}), default)
        rival = judged_beside(best, default, found.best.number, search.material, finals.listener)
    looks = _looks(search.study, found.best.number)
    search.study.set_user_attr(_FINISHING, None)
    return replace(found, comparison=compared(found.best, found.default, report, rival, looks), report=report)


def _looks(study: optuna.Study, number: int) -> int:
    """How many best models have answered the test rows, this one included."""
    judged: list[int] = study.user_attrs.get(_JUDGED, [])
    if number not in judged:
        judged = [*judged, number]
        study.set_user_attr(_JUDGED, judged)
    return len(judged)


def _rank(trial: TrialRecord) -> tuple[int, float, int]:
    """Complete trials first, the best of them at the top; of equals the earlier, such as the defaults."""
    order = ("complete", "pruned", "running", "waiting", "failed").index(trial.state)
    return order, -(trial.score if trial.score is not None else float("-inf")), trial.number


def _last_to_end(study: optuna.Study) -> int:
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.datetime_complete is not None]
    ended = [trial for trial in ended if trial.state.name in ("COMPLETE", "PRUNED")]
    return max(ended, key=lambda trial: (trial.datetime_complete, trial.number)).number


def _untried(where: str) -> ConfigError:
    fix = "give it more time with --minutes or more --trials; the same command goes on where it ended"
    what = "the first trial, that of the defaults, did not come to its end"
    return ConfigError(Problem("no-trial", what, where, fix))
