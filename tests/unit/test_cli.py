from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest
import typer

from tunesmith.cli.boundary import INTERRUPTED, show_resume, verb
from tunesmith.cli.main import app
from tunesmith.cli.options import recipe_from
from tunesmith.cli.progress import RichListener, resumable
from tunesmith.errors import ConfigError, DataError, GateError, Problem
from tunesmith.recipe import Recipe

PROBLEM = Problem("some-code", "what [red]is[/red] wrong", "a[0].csv:1", "mend it")


def _exit_code(command: Any) -> int:
    with pytest.raises(typer.Exit) as caught:
        verb("name")(command)()
    return int(caught.value.exit_code)


def _fail(error: BaseException) -> Any:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError(PROBLEM), 1),
        (GateError(PROBLEM), 3),
        (KeyboardInterrupt(), INTERRUPTED),
        (FileNotFoundError(2, "No such file", "x"), 1),
    ],
)
def test_faults_become_exit_codes(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _exit_code(_fail(error)) == code
    assert "Traceback" not in capsys.readouterr().err


def test_our_own_bugs_keep_their_traceback() -> None:
    with pytest.raises(AssertionError):
        verb("name")(_fail(AssertionError()))()


def test_problems_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    _exit_code(_fail(DataError(PROBLEM)))
    assert capsys.readouterr().err == f"{PROBLEM}\n"


def test_of_many_problems_some_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _exit_code(_fail(DataError([PROBLEM] * 50)))
    shown = capsys.readouterr().err
    assert shown.count("some-code") == 20
    assert shown.endswith("… and 30 problems more\n")


def test_recipes_come_from_flags_and_settings() -> None:
    recipe = recipe_from(None, {"epochs": 3, "seed": None}, ["learning_rate=1e-4", "dropout=null"])
    assert recipe == Recipe(epochs=3, learning_rate=1e-4)


@pytest.mark.parametrize("setting", ["epochs", "=1", "", "="])
def test_a_setting_without_key_or_sign_is_a_usage_error(setting: str) -> None:
    with pytest.raises(typer.BadParameter, match="key=value"):
        recipe_from(None, {}, [setting])


@pytest.mark.parametrize(
    "setting",
    ["epochs=many", "epochs=[1", "epochs=.nan", "epochs=2026-13-45", "seed=!!python/name:os.system x"],
)
def test_a_setting_of_no_sense_is_a_problem(setting: str) -> None:
    with pytest.raises(ConfigError, match="bad-value"):
        recipe_from(None, {}, [setting])


def _command(name: str) -> Any:
    return typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]


def test_flags_of_train_say_what_the_recipe_says() -> None:
    flags = {
        param.name: param.help for param in _command("train").params if param.name in Recipe.model_fields
    }
    assert flags == {name: Recipe.model_fields[name].description for name in flags}
    about_rows = {"group_column", "time_column", "split", "fold"}
    assert about_rows | {"base", "epochs", "learning_rate", "max_tokens", "method", "seed"} == flags.keys()


def _press_ctrl_c(listener: RichListener, stage: str, times: int) -> bool:
    with resumable(listener) as stop:
        listener.stage(stage)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        return stop()


@pytest.mark.parametrize("stage", ["train", "pretrain", "adapt"])
def test_the_first_ctrl_c_asks_for_a_stop_after_the_step(stage: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert not _press_ctrl_c(RichListener(), stage, 0)
    assert _press_ctrl_c(RichListener(), stage, 1)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("stage", "times"), [("train", 2), ("evaluate", 1), ("write", 1)])
def test_ctrl_c_stops_at_once_and_tells_how_to_go_on(
    stage: str, times: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tunesmith", "train", "a [1].csv", "--overwrite", "--out", "x"])
    with pytest.raises(typer.Exit) as caught:
        _press_ctrl_c(RichListener(), stage, times)
    assert caught.value.exit_code == INTERRUPTED
    assert "\n  tunesmith train --resume 'a [1].csv' --out x\n" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["read", "check"])
def test_before_the_first_step_nothing_can_go_on(stage: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        _press_ctrl_c(RichListener(), stage, 1)


def _as_process(monkeypatch: pytest.MonkeyPatch, rank: int, count: int = 4, here: int = 2) -> None:
    for name, value in {"RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": here}.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(
    ("rank", "agreed", "told"), [(0, True, 1), (1, True, 0), (1, False, 1), (0, False, 1)]
)
def test_of_several_processes_one_tells_a_fault(
    rank: int,
    agreed: bool,
    told: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _as_process(monkeypatch, rank)
    error = DataError(PROBLEM)
    error.agreed = agreed
    with pytest.raises(typer.Exit) as caught:
        verb("train")(_fail(error))()
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err.count("error[some-code]") == told


def test_only_training_runs_in_several_processes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _as_process(monkeypatch, 0)
    with pytest.raises(typer.Exit):
        verb("serve")(_fail(AssertionError("it began")))()
    assert "error[one-process]: `serve` runs in one process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "begins"),
    [
        (2, "torchrun --nproc-per-node 2 -m tunesmith"),
        (4, "torchrun --nnodes 2 … --nproc-per-node 2 -m tunesmith"),
    ],
)
def test_how_to_go_on_names_torchrun(
    count: int, begins: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tunesmith", "train", "a.csv"])
    for rank in range(count):
        _as_process(monkeypatch, rank, count)
        show_resume("stopped")
    assert capsys.readouterr().err == f"stopped; go on with:\n  {begins} train --resume a.csv\n"
