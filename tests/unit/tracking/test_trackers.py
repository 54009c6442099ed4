from __future__ import annotations

import os
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest

from tunesmith.errors import ConfigError
from tunesmith.tracking.trackers import TrackerName, TrackerPlace, quiet_defaults, trackers_named


def _everything(name: str) -> ModuleSpec:
    return ModuleSpec(name, None, origin="here")


def _nothing(_name: str) -> None:
    return None


def test_trackers_are_named_once_each() -> None:
    assert trackers_named((), _nothing) == ()
    assert trackers_named("mlflow", _everything) == ("mlflow",)
    assert trackers_named(["wandb", "tensorboard", "wandb"], _everything) == ("tensorboard", "wandb")


def test_all_that_is_wrong_with_the_names_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        trackers_named(("mlfow", "mlflow", "wandb"), _nothing)
    assert [problem.code for problem in caught.value.problems] == [
        "unknown-tracker",
        "track-extra",
        "track-extra",
    ]
    assert all("tunesmith[track]" in problem.fix for problem in caught.value.problems[1:])


def test_a_directory_of_the_name_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sqlalchemy").mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def only_directories(name: str) -> object:
        spec = find_spec(name)
        return spec if spec and spec.origin is None else None

    with pytest.raises(ConfigError, match="sqlalchemy"):
        trackers_named("mlflow", only_directories)


def _environment(name: TrackerName, place: TrackerPlace) -> dict[str, str]:
    with quiet_defaults(name, place):
        return dict(os.environ)


def test_nothing_leaves_the_run_unless_the_environment_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_API_KEY", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    place, before = TrackerPlace(tmp_path / "logs", "news"), dict(os.environ)
    mlflow, wandb = _environment("mlflow", place), _environment("wandb", place)
    assert mlflow["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/logs/mlflow.db"
    assert mlflow["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert (wandb["WANDB_MODE"], wandb["WANDB_ERROR_REPORTING"]) == ("offline", "false")
    assert _environment("tensorboard", place) == dict(os.environ) == before

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ours:5000")
    monkeypatch.setenv("WANDB_API_KEY", "a key")
    assert _environment("mlflow", place)["MLFLOW_TRACKING_URI"] == "http://ours:5000"
    assert "WANDB_MODE" not in _environment("wandb", place)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert _environment("wandb", place)["WANDB_MODE"] == "disabled"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://ours:5000"


def test_the_environment_is_put_back_after_a_fault(tmp_path: Path) -> None:
    before = dict(os.environ)
    with pytest.raises(OSError, match="gone"), quiet_defaults("mlflow", TrackerPlace(tmp_path, "news")):
        raise OSError("gone")
    assert dict(os.environ) == before
