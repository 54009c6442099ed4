from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from accelerate.tracking import GeneralTracker

from tunesmith.evaluation.types import Interval, Report
from tunesmith.listener import Listener
from tunesmith.tracking.observer import parameters_of, tracked
from tunesmith.tracking.trackers import TrackerName, TrackerPlace
from tunesmith.training.state import Fitted, Progress


class _Memory(GeneralTracker):  # type: ignore[misc]
    """A tracker that keeps in `heard` what it was told, and fails where it is asked to."""

    name = "memory"
    requires_logging_directory = False

    def __init__(self, heard: list[Any], fails_at: str = "") -> None:
        super().__init__()
        self.heard, self.fails_at = heard, fails_at

    @property
    def tracker(self) -> Any:
        return SimpleNamespace(id="run-1")

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self._hear("parameters", values)

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self._hear(f"log {step}", values)

    def finish(self) -> None:
        self._hear("finish", None)

    def _hear(self, what: str, values: Any) -> None:
        if what == self.fails_at:
            raise ConnectionError("the server is gone\nand more")
        self.heard.append((what, values))


class _Notes(Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def training(self, progress: Progress) -> None:
        self.steps.append(progress.step)


def _opener(heard: list[Any], fails_at: str = "") -> Callable[[TrackerName, TrackerPlace], Any]:
    def open_memory(_name: TrackerName, place: TrackerPlace) -> Any:
        heard.append(("open", place.run_id))
        return _Memory(heard, fails_at)

    return open_memory


def _row(step: int, **figures: float) -> dict[str, float]:
    return {"step": step, "epoch": 1, "learning_rate": 0.5, "train_loss": 1 / step, **figures}


def _progress(step: int, row: Mapping[str, float] | None) -> Progress:
    return Progress(step, 9, 1, 99.0, 0.5, 1000.0, None, row)


def _report() -> Report:
    report = SimpleNamespace(
        metrics={"macro_f1": 0.75, "ece": 0.1}, intervals={"macro_f1": Interval(0.7, 0.8)}
    )
    return cast(Report, report)


def _fitted(*rows: dict[str, float]) -> Fitted:
    return Fitted(9, 9, 1.0, 9, list(rows), False, 0)


def _run(logs: Path, notes: _Notes, heard: list[Any], steps: range, fails_at: str = "") -> None:
    opener = _opener(heard, fails_at)
    with tracked(("wandb",), logs, notes, {"epochs": 3}, opener=opener) as listener:
        for step in steps:
            listener.training(_progress(step, _row(step) if step % 2 else None))


def test_a_tracker_hears_the_numbers_of_the_history(tmp_path: Path) -> None:
    heard: list[Any] = []
    notes = _Notes()
    with tracked(("wandb",), tmp_path / "logs", notes, {"epochs": 3}, opener=_opener(heard)) as listener:
        listener.training(_progress(1, None))
        listener.training(_progress(2, _row(2)))
        listener.training(_progress(3, _row(3, validation_loss=0.25, macro_f1=0.5)))
        listener.trained(_fitted(_row(2), _row(3)))
        listener.judged(_report())
    measured = {"train/epoch": 1, "train/learning_rate": 0.5, "train/tokens_per_second": 1000.0}
    assert heard == [
        ("open", None),
        ("parameters", {"epochs": 3}),
        ("log 2", {**measured, "train/loss": 0.5}),
        ("log 3", {**measured, "train/loss": 1 / 3, "validation/loss": 0.25, "validation/macro_f1": 0.5}),
        (
            "log 3",
            {
                "test/macro_f1": 0.75,
                "test/ece": 0.1,
                "test/macro_f1_low": 0.7,
                "test/macro_f1_high": 0.8,
            },
        ),
        ("finish", None),
    ]
    assert notes.steps == [1, 2, 3]
    assert notes.notes == []


def test_what_is_measured_only_at_the_end_is_told_then(tmp_path: Path) -> None:
    heard: list[Any] = []
    with tracked(("wandb",), tmp_path, Listener(), {}, opener=_opener(heard)) as listener:
        listener.trained(_fitted({"step": 1, "strength": 0.1, "train_loss": 2.0, "validation_loss": 3.0}))
    assert heard[2] == ("log 1", {"train/strength": 0.1, "train/loss": 2.0, "validation/loss": 3.0})


def test_a_run_that_goes_on_is_the_same_run_and_tells_no_step_twice(tmp_path: Path) -> None:
    heard: list[Any] = []
    _run(tmp_path, _Notes(), heard, range(1, 6))
    # the checkpoint was older than what had been told
    _run(tmp_path, _Notes(), heard, range(3, 9))
    assert [what for what, _ in heard] == [
        *("open", "parameters", "log 1", "log 3", "log 5", "finish"),
        *("open", "log 7", "finish"),
    ]
    assert [values for what, values in heard if what == "open"] == [None, "run-1"]


def test_a_report_is_told_once(tmp_path: Path) -> None:
    heard: list[Any] = []
    for _ in range(2):
        with tracked(("wandb",), tmp_path, Listener(), {}, opener=_opener(heard)) as listener:
            listener.judged(_report())
    assert [what for what, _ in heard].count("log 0") == 1


@pytest.mark.parametrize("fails_at", ["parameters", "log 3", "finish"])
def test_a_tracker_that_fails_ends_itself_alone(tmp_path: Path, fails_at: str) -> None:
    heard: list[Any] = []
    notes = _Notes()
    _run(tmp_path, notes, heard, range(1, 9), fails_at)
    assert notes.steps == list(range(1, 9))
    assert notes.notes == ["tracking with wandb ends here, training goes on: the server is gone"]
    logged = [what for what, _ in heard if what.startswith("log")]
    assert logged == {"parameters": [], "log 3": ["log 1"]}.get(
        fails_at, ["log 1", "log 3", "log 5", "log 7"]
    )


def test_a_tracker_that_cannot_be_opened_or_told_is_a_note(tmp_path: Path) -> None:
    def refuse(_name: TrackerName, _place: TrackerPlace) -> Any:
        raise RuntimeError

    notes = _Notes()
    with tracked(("mlflow",), tmp_path, notes, {}, opener=refuse) as listener:
        listener.training(_progress(1, _row(1)))
        listener.judged(_report())
    assert notes.notes == ["tracking with mlflow ends here, training goes on: RuntimeError"]
    (tmp_path / "wandb.json").write_text("{", encoding="utf-8")
    _run(tmp_path, notes, [], range(1, 3))
    assert len(notes.notes) == 2
    assert "bad-json" in notes.notes[1]


def test_the_trackers_end_where_the_training_is_stopped(tmp_path: Path) -> None:
    heard: list[Any] = []
    with (
        pytest.raises(KeyboardInterrupt),
        tracked(("wandb",), tmp_path, Listener(), {}, opener=_opener(heard)),
    ):
        raise KeyboardInterrupt
    assert heard[-1] == ("finish", None)


def test_without_trackers_the_listener_is_the_callers(tmp_path: Path) -> None:
    listener = Listener()
    with tracked((), tmp_path / "logs", listener, {}) as told:
        assert told is listener
    assert not (tmp_path / "logs").exists()


def test_parameters_are_plain_and_short() -> None:
    recipe = {"epochs": 3, "rate": 0.5, "on": True, "none": None, "names": ["a", "b"], "long": "x" * 600}
    parameters = parameters_of(recipe, {"train sha256": "abc"})
    assert parameters["provenance/train sha256"] == "abc"
    assert (parameters["none"], parameters["names"]) == ("null", "a, b")
    assert len(str(parameters["long"])) == 500
    assert json.dumps(parameters)
    assert {type(value) for value in parameters.values()} <= {str, int, float, bool}
