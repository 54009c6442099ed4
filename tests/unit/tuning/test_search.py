"""The search itself, on a real study in SQLite, with trainings that cost nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.listeners import Heard
from tests.unit.tuning.worker import TRIALS
from tunesmith.errors import ConfigError, DataError, Problem, ResumeError, StorageError
from tunesmith.recipe import Recipe
from tunesmith.tuning.ending import is_anothers
from tunesmith.tuning.importance import importances
from tunesmith.tuning.space import Dimension
from tunesmith.tuning.storage import (
    file_url,
    open_storage,
    quiet_optuna,
    refuse_without_optuna,
    without_password,
)
from tunesmith.tuning.study import (
    Plan,
    PrunerName,
    Worker,
    join_study,
    pruner_named,
    put_back_cut,
    records,
    taken,
)
from tunesmith.tuning.trial import Objective, OnEvaluation, Surplus
from tunesmith.tuning.tune import search

SPACE = (Dimension("learning_rate", 1e-4, 1e-2, True), Dimension("epochs", 2, 8, True, True))
PLAN = Plan({"sha256": {"train": "a"}, "format": 1}, SPACE, {"learning_rate": 1e-3, "epochs": 4}, "full", 4)
Storage = optuna.storages.BaseStorage
# here trials are begun by hand, to stand for those of other processes
by_hand = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with quiet_optuna(), open_storage(file_url(tmp_path / "a study?.db")) as opened:
        yield opened


def _joined(storage: Storage, plan: Plan = PLAN) -> optuna.Study:
    return join_study(storage, "s", plan, where="here")[0]


def _objective(
    study: optuna.Study, train: Callable[[Recipe, Path, OnEvaluation], None], most: int | None = 6
) -> Objective:
    return Objective(study, PLAN, Recipe(epochs=4), Path("trials"), most, train, Heard())


def _rising(recipe: Recipe, _place: Path, on_evaluation: OnEvaluation) -> None:
    """Better with the learning rate, and from epoch to epoch."""
    assert recipe.epochs is not None
    for epoch in range(1, recipe.epochs + 1):
        on_evaluation(epoch, {"score": (recipe.learning_rate or 1e-3) * epoch, "macro_f1": 0.5})


@pytest.mark.parametrize(("keep", "score"), [("best", 0.9), ("last", 0.2)])
def test_a_trial_scores_what_the_weights_score_that_it_keeps(
    keep: Any, score: float, storage: Storage
) -> None:
    def falling(_recipe: Recipe, _place: Path, on_evaluation: OnEvaluation) -> None:
        for epoch, found in enumerate((0.9, 0.2), 1):
            on_evaluation(epoch, {"score": found})

    study = _joined(storage)
    objective = replace(_objective(study, falling, most=1), recipe=Recipe(keep=keep))
    search(objective, None)
    assert [trial.value for trial in study.trials] == [score]
    assert study.trials[0].user_attrs["figures"]["score"] == score


def test_the_first_trial_is_the_recipe_as_it_is(storage: Storage) -> None:
    study, tried = _joined(storage), list[Recipe]()

    def train(recipe: Recipe, _place: Path, on_evaluation: OnEvaluation) -> None:
        tried.append(recipe)
        on_evaluation(1, {"score": 0.5, "macro_f1": 0.6})
        on_evaluation(2, {"score": 0.4, "macro_f1": 0.7})

    search(_objective(study, train, 3), None)
    first, *others = records(study)
    assert tried[0] == Recipe(epochs=4), "nothing is written where the recipe leaves it open"
    assert first.defaults
    assert first.params == PLAN.defaults
    assert (first.score, first.figures) == (0.5, {"score": 0.5, "macro_f1": 0.6})
    assert [each.params["epochs"] for each in others] == [recipe.epochs for recipe in tried[1:]]
    assert not any(each.defaults for each in others)


def test_the_same_seed_tries_the_same_and_one_that_goes_on_does_not_begin_again(tmp_path: Path) -> None:
    def params(name: str, *trials: int) -> list[Any]:
        with quiet_optuna(), open_storage(file_url(tmp_path / name)) as storage:
            for most in trials:
                search(_objective(_joined(storage), _rising, most), None)
            return [each.params for each in records(_joined(storage))]

    whole, stopped = params("a.db", 5), params("b.db", 2, 5)
    assert whole == stopped
    assert len({each["learning_rate"] for each in whole}) == 5


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_what_does_badly_is_pruned_at_an_evaluation_and_the_defaults_never(
    storage: Storage, pruner: PrunerName
) -> None:
    study, seen = _joined(storage), dict[int, int]()
    study.pruner = pruner_named(pruner, PLAN.most_epochs)

    def train(recipe: Recipe, place: Path, on_evaluation: OnEvaluation) -> None:
        number = int(place.name)
        for epoch in range(1, 6):
            seen[number] = epoch
            # every trial is worse than the one before it
            on_evaluation(epoch, {"score": epoch - 10.0 * number})

    search(_objective(study, train, 9), None)
    found = records(study)
    pruned = [each for each in found if each.state == "pruned"]
    assert pruned
    assert all(seen[each.number] == each.evaluations < 5 for each in pruned), "they end there"
    assert found[0].state == "complete"
    assert sum(each.finished for each in found) == 9


def test_without_a_pruner_all_come_to_their_end(storage: Storage) -> None:
    study = _joined(storage)
    study.pruner = pruner_named("none", 8)
    search(_objective(study, _rising, 8), None)
    assert {each.state for each in records(study)} == {"complete"}


@pytest.mark.parametrize("code", ["bad-loss", "out-of-memory"])
def test_a_recipe_that_cannot_be_trained_ends_its_trial_and_not_the_search(
    storage: Storage, code: str
) -> None:
    study = _joined(storage)

    def train(recipe: Recipe, place: Path, on_evaluation: OnEvaluation) -> None:
        if int(place.name) == 1:
            raise DataError(Problem(code, "no number", "row 1", "lower it"))
        _rising(recipe, place, on_evaluation)

    search(_objective(study, train, 4), None)
    assert [each.state for each in records(study)] == ["complete", "pruned", "complete", "complete"]
    assert records(study)[1].note == code


def test_what_no_recipe_can_help_ends_the_search_and_is_tried_again(storage: Storage) -> None:
    study, full = _joined(storage), [True]

    def train(recipe: Recipe, place: Path, on_evaluation: OnEvaluation) -> None:
        if full.pop() if full else False:
            raise StorageError(Problem("disk-full", "no space", "here", "free some"))
        _rising(recipe, place, on_evaluation)

    with pytest.raises(StorageError):
        search(_objective(study, train, 2), None)
    search(_objective(study, train, 2), None)
    assert [(each.state, each.note, each.defaults) for each in records(study)] == [
        ("failed", "disk-full", True),
        ("complete", "", True),
        ("complete", "", False),
    ]


def test_what_is_stopped_is_tried_again_with_the_same_recipe(storage: Storage) -> None:
    study, stops = _joined(storage), {2}

    def train(recipe: Recipe, place: Path, on_evaluation: OnEvaluation) -> None:
        if int(place.name) in stops:
            stops.clear()
            raise KeyboardInterrupt
        _rising(recipe, place, on_evaluation)

    with pytest.raises(KeyboardInterrupt):
        search(_objective(study, train, 4), None)
    search(_objective(study, train, 4), None)
    found = records(study)
    assert found[2].state == "failed"
    assert found[3].params == found[2].params
    assert sum(each.finished for each in found) == 4


@by_hand
def test_a_trial_whose_process_is_gone_is_failed_and_tried_again_twice_at_most(storage: Storage) -> None:
    study = _joined(storage)
    search(_objective(study, _rising, 1), None)
    gone = Worker(Worker.here().host, 2**22 + 1, 0.0).to_dict()
    study.enqueue_trial({"learning_rate": 2e-3, "epochs": 3})
    for cuts in range(3):
        trial = study.ask()
        assert trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True) == 2e-3
        trial.set_user_attr("worker", gone)
        assert put_back_cut(study) == ([trial.number] if cuts < 2 else [])
    assert put_back_cut(study) == []
    assert [each.state for each in records(study)] == ["complete", "failed", "failed", "failed"]


@by_hand
def test_a_trial_of_a_living_process_or_of_another_machine_is_left_alone(storage: Storage) -> None:
    study = _joined(storage)
    for worker in (Worker.here(), Worker("elsewhere", 1, 0.0)):
        study.ask().set_user_attr("worker", worker.to_dict())
    assert put_back_cut(study) == []
    assert taken(study) == 2


def test_a_number_that_another_process_got_later_is_gone() -> None:
    here = Worker.here()
    assert not here.is_gone()
    assert replace(here, born=here.born - 100).is_gone()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert Worker(here.host, process.pid, here.born).is_gone()


@by_hand
def test_the_last_trial_is_begun_by_one_process_alone(storage: Storage) -> None:
    mine, another = _joined(storage), _joined(storage)
    search(_objective(mine, _rising, 1), None)
    taken_by_another = another.ask()
    with pytest.raises(Surplus):
        mine.optimize(_objective(mine, _rising, 2), n_trials=1)
    assert [each.note for each in records(mine)] == ["", "", "surplus"]
    another.tell(taken_by_another, 0.1)
    search(_objective(mine, _rising, 2), None)
    assert sum(each.finished for each in records(mine)) == 2


def test_processes_that_begin_at_once_share_one_study(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    command = [sys.executable, "-m", "tests.unit.tuning.worker", str(file)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [json.loads(worker.communicate()[0]) for worker in workers]
    with quiet_optuna(), open_storage(file_url(file)) as storage:
        found = records(optuna.load_study(study_name="shared", storage=storage))
    assert sum(each.finished for each in found) == TRIALS
    assert {each.state for each in found if each.note != "surplus"} == {"complete"}
    assert [each.defaults for each in found].count(True) == 1
    ran = [number for each in said for number in each["ran"]]
    assert sorted(ran) == [each.number for each in found if each.finished]
    assert [each["finishes"] for each in said if each["ran"]].count(True) == 1, "the last trains the model"


@by_hand
def test_the_final_model_is_left_to_whoever_is_at_it(storage: Storage) -> None:
    study = _joined(storage)
    search(_objective(study, _rising, 2), None)
    assert not is_anothers(study, {1})
    assert is_anothers(study, {0})
    assert not is_anothers(study, frozenset())
    study.set_user_attr("finishing", Worker.here().to_dict())
    assert is_anothers(study, frozenset())
    study.set_user_attr("finishing", replace(Worker.here(), born=0.0).to_dict())
    assert not is_anothers(study, frozenset())
    study.ask()
    assert is_anothers(study, {1}), "a trial is under way"


def test_time_that_is_over_begins_no_trial(storage: Storage) -> None:
    study, times = _joined(storage), iter([0, 0, 59, 61])
    search(_objective(study, _rising, None), 1, clock=lambda: next(times))
    assert [each.state for each in records(study)] == ["complete", "complete"]


def test_a_study_goes_on_only_with_what_it_was_begun_with(storage: Storage) -> None:
    _joined(storage)
    same, kept = join_study(storage, "s", replace(PLAN, epochs=9), where="here")
    assert kept == PLAN, "the space is that of whoever began it"
    assert [each.state for each in records(same)] == ["waiting"], "the defaults are put in once"
    with pytest.raises(ResumeError) as caught:
        _joined(storage, replace(PLAN, about={"sha256": {"train": "b"}, "format": 1}))
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("resume-changed", "here")
    assert "the rows of the train data changed" in problem.what


def test_a_study_of_somebody_else_is_refused(storage: Storage) -> None:
    optuna.create_study(storage=storage, study_name="s").optimize(lambda _: 0.5, n_trials=1)
    with pytest.raises(ResumeError) as caught:
        _joined(storage)
    assert caught.value.problems[0].code == "study-taken"


def test_a_study_whose_beginner_was_killed_is_begun(storage: Storage) -> None:
    optuna.create_study(storage=storage, study_name="s", direction="maximize")
    study, _ = join_study(storage, "s", PLAN, where="here", wait_seconds=0)
    assert [each.defaults for each in records(study)] == [True]


@pytest.mark.parametrize(
    "url",
    ["postgres:me", "nonsense://x", "sqlite:////no/such/directory/study.db", "oracle+none://a:geheim@b/c"],
)
def test_a_storage_that_cannot_be_had_is_told(url: str) -> None:
    with pytest.raises((ConfigError, StorageError)) as caught, quiet_optuna(), open_storage(url):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "bad-storage"
    assert "geheim" not in str(problem)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("this is no database, but text of some length" * 99)
    with (
        pytest.raises(StorageError, match="not a database"),
        quiet_optuna(),
        open_storage(file_url(tmp_path / "study.db")),
    ):
        pass


def test_a_password_is_not_shown() -> None:
    assert without_password("postgresql://me:geheim@db/studies") == "postgresql://me:***@db/studies"


def test_the_missing_extra_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_without_optuna(find=lambda _: None)
    (problem,) = caught.value.problems
    assert (problem.code, "pip install 'tunesmith[tune]'" in problem.fix) == ("tune-extra", True)


def test_what_decides_the_score_is_what_matters() -> None:
    study = optuna.create_study(direction="maximize")
    assert importances(study, 0) is None, "too few"
    unit = optuna.distributions.FloatDistribution(0, 1)
    spread: dict[str, optuna.distributions.BaseDistribution] = {each.name: unit for each in SPACE}
    for number in range(36):
        params = {"learning_rate": number % 6 / 5, "epochs": number // 6 / 5}
        value = params["learning_rate"]
        study.add_trial(optuna.create_trial(params=params, distributions=spread, value=value))
    found = importances(study, 0)
    assert found is not None
    assert next(iter(found)) == "learning_rate"
    assert found["learning_rate"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
