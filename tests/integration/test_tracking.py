"""The real trackers, where they are installed; TensorBoard always is where all tests are to run."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class _Notes(ts.Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def _history(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def _stopped_and_resumed(news: Path, base: Path, out: Path, track: str, stop_after: int = 3) -> ts.Run:
    """A run that was stopped and went on, told to `track`."""
    steps = iter(range(1, 1000))
    wanted: dict[str, Any] = {"recipe": ts.Recipe(base=str(base), epochs=3), "out": out, "track": track}
    with pytest.raises(ts.Interrupted):
        ts.train(news, should_stop=lambda: next(steps) == stop_after, **wanted)
    return ts.train(news, resume=True, **wanted)


def test_tensorboard_has_the_history_in_the_run(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = _stopped_and_resumed(news, tiny_base, tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(tmp_path / "run/logs/tensorboard"))
    events.Reload()
    history = _history(tmp_path / "run")
    told = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert [step for step, _ in told] == [row["step"] for row in history]
    assert [value for _, value in told] == pytest.approx([row["train_loss"] for row in history])
    (macro_f1,) = events.Scalars("test/macro_f1")
    assert macro_f1.value == pytest.approx(run.report.metrics["macro_f1"])


def test_mlflow_has_the_history_in_the_run(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name, reason="mlflow is not installed")
    from mlflow import MlflowClient

    run = _stopped_and_resumed(news, tiny_base, tmp_path / "run", "mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path}/run/logs/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("tunesmith").experiment_id])
    told = client.get_metric_history(found.info.run_id, "train/loss")
    assert [(each.step, each.value) for each in told] == [
        (row["step"], row["train_loss"]) for row in _history(tmp_path / "run")
    ]
    assert found.data.metrics["test/macro_f1_low"] == run.report.intervals["macro_f1"].low
    assert found.data.params["epochs"] == "3"
    assert found.data.params["provenance/train sha256"] == run.report.provenance["train sha256"]


def test_an_mlflow_server_that_is_not_there_is_a_note(
    news: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name, reason="mlflow is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        listener = _Notes()
        recipe = ts.Recipe(base=str(tiny_base), epochs=2)
        ts.train(news, out=tmp_path / "run", recipe=recipe, track="mlflow", listener=listener)
    assert len([note for note in listener.notes if note.startswith("tracking with mlflow ends here")]) == 1


def test_wandb_keeps_one_run_offline(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    _stopped_and_resumed(news, tiny_base, tmp_path / "run", "wandb")
    kept = sorted((tmp_path / "run/logs/wandb").glob("offline-run-*"))
    assert kept
    assert len({directory.name.rpartition("-")[2] for directory in kept}) == 1
    assert all(any(directory.glob("*.wandb")) for directory in kept)


def test_an_overwritten_run_leaves_nothing_of_its_tracking(
    news: Path, tiny_base: Path, tmp_path: Path
) -> None:
    old = tmp_path / "run/logs/tensorboard/events"
    old.parent.mkdir(parents=True)
    old.write_text("of another run", encoding="utf-8")
    recipe = ts.Recipe(base=str(tiny_base), epochs=1)
    ts.train(news, out=tmp_path / "run", recipe=recipe, overwrite=True)
    assert not old.exists()


def test_a_wrong_tracker_is_told_before_the_data_is_read(tmp_path: Path) -> None:
    with pytest.raises(ts.UserError) as caught:
        ts.train(tmp_path / "absent.csv", track="mlfow")
    assert [problem.code for problem in caught.value.problems] == ["unknown-tracker"]
