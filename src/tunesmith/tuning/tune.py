"""`tune`: many trials on one study, the best recipe trained anew, and the test rows read at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from tunesmith.errors import ConfigError, Problem, StorageError, UserError
from tunesmith.evaluation.report import refuse_no_rows
from tunesmith.files import write_json
from tunesmith.inputs import Columns, Inputs, Material, describe, given, prepare_base, read_splits
from tunesmith.listener import Listener
from tunesmith.model.layers import block_count, linear_layers
from tunesmith.model.learner import dropout_of
from tunesmith.pipeline import name_of
from tunesmith.processes import ALONE
from tunesmith.recipe import Recipe
from tunesmith.task import Kind, Task
from tunesmith.torchrun import process_count
from tunesmith.training.methods import refuse_unfit
from tunesmith.tuning.ending import Search, ended
from tunesmith.tuning.final import Finals
from tunesmith.tuning.space import is_read, space_of
from tunesmith.tuning.storage import (
    file_url,
    open_storage,
    quiet_optuna,
    refuse_without_optuna,
    without_password,
)
from tunesmith.tuning.study import Plan, PrunerName, join_study, pruner_named, put_back_cut, taken
from tunesmith.tuning.trial import Objective, OnEvaluation, Surplus, try_recipe
from tunesmith.tuning.types import Tuning

__all__ = ["TRIALS", "search", "tune"]

TRIALS = 20
"""How many are run where neither a number nor a time is named."""

_FORMAT = 1
# more than one training keeps: of many trials, the best on few rows is mostly the luckiest
_VALIDATION_FRACTION = 0.2
_ROUGH_VALIDATION_ROWS = 50


def tune(
    data: str | Path,
    *,
    test: str | Path | None = None,
    validation: str | Path | None = None,
    out: str | Path | None = None,
    task: Task | str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    kind: Kind | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    storage: str | None = None,
    study: str | None = None,
    pruner: PrunerName = "median",
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuning:
    """Search the recipe on the validation rows, train the best anew, and prove it on the test rows.

    The arguments that `train` has too mean the same. The first trial is `recipe` as it is; the others draw
    what `recipe.search` says, or what its fields declare. `trials` are counted over the whole study, whoever
    ran them: 20, or with `minutes` as many as begin in that time. `storage` is a URL of Optuna, a file in
    `out` by default, where `study`, by default the name of `out`, is begun or gone on with.

    Where other processes are still at trials of the study, the result has no report: the last to end one
    trains the final model. Raises UserError, and Interrupted once `should_stop` answers True; then, as after
    any stop, the same call goes on.
    """
    told, place = listener or Listener(), Path(out) if out else Path("runs") / f"{name_of(data)}-tuned"
    refuse_without_optuna()
    asked: Recipe = given(recipe, Recipe) or Recipe()
    _refuse(asked, trials, minutes, validation_given=validation is not None)
    _refuse_place(place)
    url = storage or file_url(place / "study.db")
    shown, name = without_password(url), study or place.name
    held_out = {"test": test, "validation": validation}
    columns, known = Columns(text_column, label_column, kind), given(task, Task)
    material, plan = _prepared(data, held_out, known, asked, told, columns)
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "tuning.json", {"study": name, "storage": shown, "done": False})
    most = trials if trials is not None or minutes is not None else TRIALS
    named = {"task": known, "text_column": text_column, "label_column": label_column, "kind": kind}
    finals = Finals(data, held_out | named, told, should_stop)
    with quiet_optuna(), open_storage(url) as opened:
        joined, plan = join_study(opened, name, plan, where=shown)
        joined.pruner = pruner_named(pruner, plan.most_epochs)
        told.stage("tune")
        attempt = partial(_attempt, material, told, should_stop)
        objective = Objective(joined, plan, material.recipe, place / "trials", most, attempt, told)
        search(objective, minutes)
        return ended(Search(joined, plan, material, place, shown, frozenset(objective.ran)), finals)


def _attempt(
    material: Material,
    listener: Listener,
    should_stop: Callable[[], bool],
    recipe: Recipe,
    place: Path,
    on_evaluation: OnEvaluation,
) -> None:
    try_recipe(material, recipe, place, on_evaluation, listener, should_stop)


def _prepared(
    data: str | Path,
    held_out: Mapping[str, str | Path | None],
    task: Task | None,
    asked: Recipe,
    listener: Listener,
    columns: Columns,
) -> tuple[Material, Plan]:
    """The splits that all trials share, with the recipe as it is without a search; and what is searched."""
    if asked.validation_fraction is None and not held_out["validation"] and not asked.split:
        asked = asked.model_copy(update={"validation_fraction": _VALIDATION_FRACTION})
        listener.note(f"validation_fraction: {_VALIDATION_FRACTION}, as a search chooses by these rows")
    sources = {name: str(path) for name, path in {"train": data, **held_out}.items() if path}
    material = read_splits(sources, task, asked, listener, columns)
    _look_at_rows(material, listener)
    plain = material.recipe.model_copy(update={"search": {}})
    material = replace(material, recipe=plain, asked=plain)
    return material, _plan(asked, prepare_base(material, listener, ALONE))


def _look_at_rows(material: Material, listener: Listener) -> None:
    """Raise UserError where no row would choose the best, or none would prove it in the end."""
    refuse_no_rows(material.splits.test)
    rows = len(material.splits.validation)
    if not rows:
        raise ConfigError(_no_validation("`split` of the recipe"))
    if rows < _ROUGH_VALIDATION_ROWS:
        listener.note(f"only {rows} validation rows: the best of many trials may be but the luckiest")


def _plan(asked: Recipe, inputs: Inputs) -> Plan:
    """What the study is begun with, where this process is the one that begins it."""
    resolved = inputs.recipe
    without = resolved.model_dump(mode="json")
    if without["dropout"] is None:
        without["dropout"] = dropout_of(inputs.classifier.model)
    labelled = not inputs.splits.train.task.writes
    space = space_of(asked, without, usable=partial(_is_usable, inputs), labelled=labelled)
    within = [
        each for each in space if is_read(each.name, resolved.method) and each.holds(without[each.name])
    ]
    about = {key: value for key, value in describe(inputs).items() if key not in ("sources", "recipe")}
    about |= {
        "format": _FORMAT,
        "recipe": asked.model_dump(mode="json", exclude={"parallel", "rival_seconds"}),
    }
    assert resolved.epochs is not None
    defaults = {each.name: without[each.name] for each in within}
    return Plan(about, space, defaults, resolved.method, resolved.epochs)


def _is_usable(inputs: Inputs, method: str) -> bool:
    """Whether this machine and the base can do with the method."""
    resolved, model = inputs.recipe, inputs.classifier.model
    needed = {
        "method": method,
        "lora_targets": resolved.lora_targets or linear_layers(model),
        "frozen_layers": resolved.frozen_layers or block_count(model) // 2,
    }
    try:
        refuse_unfit(resolved.model_copy(update=needed), model)
    except UserError:
        return False
    return True


def search(objective: Objective, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
    """Run trials until the study has as many as were asked for, or until time is over."""
    study, most, began = objective.study, objective.most, clock()
    while minutes is None or clock() - began < 60 * minutes:
        for number in put_back_cut(study):
            objective.listener.note(f"trial {number} was cut off: it is tried again")
        if most is not None and taken(study) >= most:
            return
        # what another process took in the meantime is left to it
        study.optimize(objective, n_trials=1, catch=(Surplus,))


def _refuse(recipe: Recipe, trials: int | None, minutes: float | None, *, validation_given: bool) -> None:
    """Raise ConfigError with everything about what is asked for that no search can do."""
    problems = [
        Problem("bad-budget", f"{value} {name} leave nothing to be tried", f"`{name}`", "name more than 0")
        for name, value in (("trials", trials), ("minutes", minutes))
        if value is not None and value <= 0
    ]
    if process_count() > 1:
        fix = "start it without torchrun; several processes can share one --storage"
        problems.append(Problem("one-process", "a trial runs in one process", "the command line", fix))
    if recipe.validation_fraction == 0 and not validation_given:
        problems.append(_no_validation("`validation_fraction` of the recipe"))
    if recipe.adapt is not None:
        what = "every trial would read the text of `adapt` anew"
        fix = "adapt the base first with `tunesmith adapt`, and name the result as `base`"
        problems.append(Problem("adapt-first", what, "`adapt` of the recipe", fix))
    if problems:
        raise ConfigError(problems)


def _no_validation(where: str) -> Problem:
    what = "a search chooses by validation rows, and none are to be kept"
    return Problem("no-validation", what, where, "leave it out, or name a file with --validation")


def _refuse_place(place: Path) -> None:
    """Raise StorageError where something stands that no search left."""
    if not place.exists() or (place / "tuning.json").is_file():
        return
    if not (place.is_dir() and not any(place.iterdir())):
        what, fix = "something else stands here", "name another place with --out"
        raise StorageError(Problem("exists", what, str(place), fix))
