"""A listener that tells a tracker what the history and the report say, each number once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.files import read_json, write_json
from tunesmith.listener import Listener, Listeners
from tunesmith.tracking.trackers import (
    TrackerName,
    TrackerPlace,
    open_tracker,
    quiet_defaults,
    run_id_of,
)

if TYPE_CHECKING:
    from tunesmith.evaluation.types import Report
    from tunesmith.training.state import Fitted, Progress

__all__ = ["Tracked", "parameters_of", "tracked"]

Opener = Callable[[TrackerName, TrackerPlace], Any]

_LONGEST_PARAMETER = 500


@contextmanager
def tracked(
    names: Sequence[TrackerName],
    logs: Path,
    listener: Listener,
    parameters: Mapping[str, Any],
    *,
    opener: Opener = open_tracker,
) -> Iterator[Listener]:
    """Give a listener that tells `listener` everything and the trackers the numbers; they end with the block.

    `logs` holds what trackers keep, and says what each was told: a run that goes on goes on there.
    """
    if not names:
        yield listener
        return
    trackers = [Tracked(name, logs, listener.note, parameters, opener) for name in names]
    try:
        yield Listeners(listener, *trackers)
    finally:
        for tracker in trackers:
            tracker.close()


class Tracked(Listener):
    """Tells one tracker. Whatever goes wrong there ends the tracking with a note, and never the training."""

    def __init__(
        self,
        name: TrackerName,
        logs: Path,
        note: Callable[[str], None],
        parameters: Mapping[str, Any],
        opener: Opener,
    ) -> None:
        self._name, self._note, self._opener = name, note, opener
        self._told_file = logs / f"{name}.json"
        self._place = TrackerPlace(logs, logs.parent.name)
        self._told: dict[str, Any] = {"run_id": None, "step": 0, "judged": False}
        self._tracker: Any = None
        self._failed = False
        self._guarded(lambda: self._open(parameters))

    def training(self, progress: Progress) -> None:
        """Tell a measurement that is in the history, with the speed at its step."""
        if progress.logged is not None:
            self._tell(progress.logged, {"train/tokens_per_second": progress.tokens_per_second})

    def trained(self, fitted: Fitted) -> None:
        """Tell what of the history was not told step by step."""
        for row in fitted.history:
            self._tell(row)

    def judged(self, report: Report) -> None:
        """Tell the metrics of the test, each with its interval."""
        if not self._told["judged"]:
            self._log(_of_report(report), int(self._told["step"]), {"judged": True})

    def close(self) -> None:
        """End the tracker's run; it can go on later."""
        if self._tracker is not None:
            self._guarded(self._tracker.finish, anyhow=True)

    def _tell(self, row: Mapping[str, float], others: dict[str, float] | None = None) -> None:
        step = int(row["step"])
        if step > self._told["step"]:
            self._log(_of_row(row) | (others or {}), step, {"step": step})

    def _log(self, values: Mapping[str, float], step: int, told: Mapping[str, Any]) -> None:
        def log() -> None:
            # first: killed between the two, a number is missing rather than there twice
            self._remember(told)
            self._tracker.log(dict(values), step=step)

        self._guarded(log)

    def _open(self, parameters: Mapping[str, Any]) -> None:
        from accelerate import PartialState

        PartialState()  # accelerate's trackers ask it which process they are in
        goes_on = self._told_file.is_file()
        if goes_on:
            self._told |= read_json(self._told_file)
        place = TrackerPlace(self._place.logs, self._place.run_name, self._told["run_id"])
        self._tracker = self._opener(self._name, place)
        if not goes_on:
            self._tracker.store_init_configuration(dict(parameters))
            self._remember({"run_id": run_id_of(self._name, self._tracker)})

    def _remember(self, told: Mapping[str, Any]) -> None:
        self._told |= told
        write_json(self._told_file, self._told)

    def _guarded(self, act: Callable[[], None], *, anyhow: bool = False) -> None:
        if self._failed and not anyhow:
            return
        try:
            with quiet_defaults(self._name, self._place), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what libraries tell each other is not for the user
                act()
        except Exception as error:  # noqa: BLE001 (whatever it is, it must not end the training)
            if not self._failed:
                self._note(f"tracking with {self._name} ends here, training goes on: {_first_line(error)}")
            self._failed = True


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def parameters_of(recipe: Mapping[str, Any], provenance: Mapping[str, str]) -> dict[str, str | int | float]:
    """The resolved recipe and where the model comes from, as plain values that any tracker takes."""
    named = {**recipe, **{f"provenance/{name}": value for name, value in provenance.items()}}
    return {name: _plain(value) for name, value in named.items()}


def _plain(value: Any) -> str | int | float:
    match value:
        case bool() | int() | float():
            return value
        case None:
            return "null"
        case list() | tuple():
            return _plain(", ".join(str(each) for each in value))
        case _:
            text = str(value)
            return text if len(text) <= _LONGEST_PARAMETER else f"{text[: _LONGEST_PARAMETER - 1]}…"


def _of_row(row: Mapping[str, float]) -> dict[str, float]:
    return {_grouped(name): value for name, value in row.items() if name != "step"}


def _grouped(name: str) -> str:
    """A name of the history as trackers group them: `train/loss`, `validation/macro_f1`."""
    group, _, rest = name.partition("_")
    match group, rest:
        case "train" | "validation", str() if rest:
            return f"{group}/{rest}"
        case _ if name in ("epoch", "learning_rate", "strength"):
            return f"train/{name}"
        case _:
            return f"validation/{name}"


def _of_report(report: Report) -> dict[str, float]:
    values = {f"test/{name}": value for name, value in report.metrics.items()}
    for name, interval in report.intervals.items():
        values |= {f"test/{name}_low": interval.low, f"test/{name}_high": interval.high}
    return values
