"""A study that several processes share: who begins it, what it was begun with, and how its trials stand."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import psutil

from tunesmith.errors import Problem, ResumeError
from tunesmith.ranges import Scalar
from tunesmith.training.resume import refuse_changes
from tunesmith.tuning.space import Dimension
from tunesmith.tuning.types import TrialRecord, TrialState

if TYPE_CHECKING:
    import optuna

__all__ = [
    "Plan",
    "PrunerName",
    "Worker",
    "finished",
    "join_study",
    "pruner_named",
    "put_back",
    "put_back_cut",
    "records",
    "sampler_for",
    "taken",
]

PrunerName = Literal["median", "hyperband", "none"]

_PLAN = "tunesmith"
# whoever began a study has written its plan by then, or was killed
_WAIT_SECONDS = 30.0
# drawn at random before the sampler believes that it knows anything
_RANDOM_TRIALS = 6
# a median of fewer trials says little, and so does a first evaluation
_UNPRUNED_TRIALS, _UNPRUNED_EVALUATIONS = 4, 2
# a recipe that kills its process each time must not do so for ever
_MOST_CUTS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is begun with, and every process that joins it goes by."""

    about: Mapping[str, Any]
    """The data by hash, task, recipe and base: a study goes on only with the same"""
    space: tuple[Dimension, ...]
    defaults: Mapping[str, Scalar]
    """The keys of the space, as far as it holds what the recipe becomes without a search"""
    method: str
    """What the recipe's method becomes"""
    epochs: int
    """What its epochs become"""

    @property
    def most_epochs(self) -> int:
        """The most epochs that a trial can have."""
        searched = next((each for each in self.space if each.name == "epochs"), None)
        return self.epochs if searched is None else max(map(int, searched.choices or (searched.high,)))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The plan that `to_dict` wrote."""
        space = tuple(Dimension.of(each) for each in values["space"])
        return cls(values["about"], space, values["defaults"], values["method"], values["epochs"])

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "about": dict(self.about),
            "space": [dimension.to_dict() for dimension in self.space],
            "defaults": dict(self.defaults),
            "method": self.method,
            "epochs": self.epochs,
        }


@dataclass(frozen=True, slots=True)
class Worker:
    """A process by its machine, number and birth: numbers are used again."""

    host: str
    pid: int
    born: float

    @classmethod
    def here(cls) -> Self:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The worker that `to_dict` wrote."""
        return cls(str(values["host"]), int(values["pid"]), float(values["born"]))

    def to_dict(self) -> dict[str, Any]:
        """The worker as JSON values."""
        return {"host": self.host, "pid": self.pid, "born": self.born}

    def is_gone(self) -> bool:
        """Whether it certainly ended: of another machine's only its heartbeat tells."""
        if self.host != socket.gethostname():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.born) > 1
        except psutil.NoSuchProcess:
            return True


def pruner_named(name: PrunerName, most_epochs: int) -> optuna.pruners.BasePruner:
    """The pruner; evaluations are counted in epochs."""
    import optuna

    match name:
        case "median":
            return optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_EVALUATIONS)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(1, most_epochs))
        case "none":
            return optuna.pruners.NopPruner()


def sampler_for(seed: int, number: int) -> optuna.samplers.BaseSampler:
    """TPE, seeded anew for each trial: one that goes on must not draw again what was drawn before."""
    import optuna

    return optuna.samplers.TPESampler(
        seed=(seed * 1_000_003 + number) % 2**32, n_startup_trials=_RANDOM_TRIALS, constant_liar=True
    )


def join_study(
    storage: optuna.storages.BaseStorage,
    name: str,
    plan: Plan,
    *,
    where: str,
    wait_seconds: float = _WAIT_SECONDS,
) -> tuple[optuna.Study, Plan]:
    """The study of this name and its plan: begun with `plan`, or as another process began it.

    Raises ResumeError where it is a study of something else, with every difference.
    """
    import optuna

    try:
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
        kept = None
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage)
        kept = _kept(study, wait_seconds)
    if kept is None:
        _refuse_foreign(study, where)
        if not any(trial.user_attrs.get("defaults") for trial in study.get_trials(deepcopy=False)):
            study.enqueue_trial(dict(plan.defaults), user_attrs={"defaults": True})
        study.set_user_attr(_PLAN, plan.to_dict())
        return study, plan
    refuse_changes(kept.about, plan.about, where)
    return study, kept


def _kept(study: optuna.Study, wait_seconds: float) -> Plan | None:
    """The plan, once the process that began the study has written it."""
    until = time.monotonic() + wait_seconds
    while not (values := study.user_attrs.get(_PLAN)):
        if time.monotonic() > until or _is_foreign(study):
            return None
        time.sleep(0.1)
    return Plan.of(values)


def _is_foreign(study: optuna.Study) -> bool:
    trials = study.get_trials(deepcopy=False)
    return bool(trials) and not any(trial.user_attrs.get("defaults") for trial in trials)


def _refuse_foreign(study: optuna.Study, where: str) -> None:
    if _is_foreign(study):
        what = f"the study {study.study_name!r} is not one of `tunesmith tune`"
        raise ResumeError(Problem("study-taken", what, where, "name another one with --study"))


def finished(study: optuna.Study) -> int:
    """How many trials came to their end, pruned ones included."""
    return sum(record.finished for record in records(study))


def taken(study: optuna.Study, before: int | None = None) -> int:
    """How many trials are finished or under way, of the latter those that came `before` a number."""
    return sum(
        record.finished or (record.state == "running" and (before is None or record.number < before))
        for record in records(study)
    )


def put_back(study: optuna.Study, number: int, cuts: int = 0) -> None:
    """Let another trial try what this one did not come to the end of."""
    trial = next(trial for trial in study.get_trials(deepcopy=False) if trial.number == number)
    kept = {key: value for key, value in trial.user_attrs.items() if key == "defaults"}
    study.enqueue_trial(_params(trial), user_attrs=kept | {"cuts": cuts, "again": number})


def _params(trial: optuna.trial.FrozenTrial) -> dict[str, Scalar]:
    """What it tries, or is to try as far as that was fixed when it was put into the queue."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def put_back_cut(study: optuna.Study) -> list[int]:
    """Mark the trials of processes that are gone as failed, put them back, and return their numbers.

    Optuna marks those of other machines, once their heartbeat is silent.
    """
    import optuna

    state, trials = optuna.trial.TrialState, study.get_trials(deepcopy=False)
    back = {trial.user_attrs.get("again") for trial in trials}
    found = []
    for trial in trials:
        running = trial.state == state.RUNNING
        if running and _is_gone(trial):
            study.tell(trial.number, state=state.FAIL, skip_if_finished=True)
        elif running or trial.state != state.FAIL or not _was_cut(trial):
            continue
        cuts = int(trial.user_attrs.get("cuts", 0)) + 1
        if trial.number not in back and (cuts <= _MOST_CUTS or trial.user_attrs.get("defaults")):
            put_back(study, trial.number, cuts)
            found.append(trial.number)
    return found


def _is_gone(trial: optuna.trial.FrozenTrial) -> bool:
    worker = trial.user_attrs.get("worker")
    return worker is not None and Worker.of(worker).is_gone()


def _was_cut(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a failed trial was ended from outside: whoever ends one of its own says why."""
    return "ended" not in trial.user_attrs


def records(study: optuna.Study) -> tuple[TrialRecord, ...]:
    """The trials, in the order of their numbers."""
    return tuple(_record(trial) for trial in study.get_trials(deepcopy=False))


def _record(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    told, reported = trial.user_attrs, trial.intermediate_values
    names: dict[str, TrialState] = {"fail": "failed"}
    state = trial.state.name.lower()
    return TrialRecord(
        number=trial.number,
        state=names.get(state, state),  # type: ignore[arg-type]
        params=_params(trial),
        score=max(reported.values(), default=trial.value if trial.values else None),
        figures=dict(told.get("figures", {})),
        evaluations=len(reported),
        seconds=trial.duration.total_seconds() if trial.duration else None,
        defaults=bool(told.get("defaults")),
        note=str(told.get("ended", "")),
    )
