"""The trackers there are, what each needs, and how accelerate's are opened: within the run, nothing sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from tunesmith.errors import ConfigError, Problem

__all__ = ["TrackerName", "TrackerPlace", "open_tracker", "quiet_defaults", "run_id_of", "trackers_named"]

TrackerName = Literal["tensorboard", "mlflow", "wandb"]

_PROJECT = "tunesmith"
_NEEDED: Mapping[TrackerName, tuple[str, ...]] = {
    "tensorboard": ("tensorboard",),
    # its store in a file of the run is a database
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
}


@dataclass(frozen=True, slots=True)
class TrackerPlace:
    """Where a tracker keeps what it is told, and under which names."""

    logs: Path
    run_name: str
    run_id: str | None = None
    """The run to go on with, by the tracker's own name; None: a new one."""


def trackers_named(
    names: str | Sequence[str], find: Callable[[str], Any] = find_spec
) -> tuple[TrackerName, ...]:
    """The trackers of these names, each once.

    Raises ConfigError with every name that is none, and every tracker whose library is not installed.
    """
    asked = [names] if isinstance(names, str) else list(names)
    chosen = tuple(name for name in _NEEDED if name in asked)
    problems = [_unknown(name) for name in asked if name not in _NEEDED]
    problems += [problem for name in chosen for problem in _lacking(name, find)]
    if problems:
        raise ConfigError(problems)
    return chosen


def _unknown(name: str) -> Problem:
    known = ", ".join(_NEEDED)
    return Problem("unknown-tracker", f"{name!r} is no tracker", "`track`", f"the trackers are: {known}")


def _lacking(name: TrackerName, find: Callable[[str], Any]) -> Iterator[Problem]:
    missing = [module for module in _NEEDED[name] if not _is_installed(module, find)]
    if missing:
        what = f"tracking with {name} needs {', '.join(missing)}, which this Python lacks"
        fix = "pip install 'tunesmith[track]', or train without it"
        yield Problem("track-extra", what, f"`track`: {name}", fix)


def _is_installed(module: str, find: Callable[[str], Any]) -> bool:
    # a directory that merely has the name, as W&B makes one, is found without an origin
    return getattr(find(module), "origin", None) is not None


@contextmanager
def quiet_defaults(name: TrackerName, place: TrackerPlace) -> Iterator[None]:
    """While the block runs, what the user's environment leaves open is local, silent and soon given up."""
    others = {key: value for key, value in _defaults(name, place).items() if key not in os.environ}
    os.environ.update(others)
    try:
        yield
    finally:
        for key in others:
            os.environ.pop(key, None)


def _defaults(name: TrackerName, place: TrackerPlace) -> dict[str, str]:
    match name:
        case "tensorboard":
            return {}
        case "mlflow":
            return {
                "MLFLOW_TRACKING_URI": f"sqlite:///{place.logs.resolve() / 'mlflow.db'}",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_LOGGING_LEVEL": "WARNING",
                # a server that is gone may cost seconds of a step, not minutes
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
                "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
            }
        case "wandb":
            offline = {} if "WANDB_API_KEY" in os.environ else {"WANDB_MODE": "offline"}
            return offline | {"WANDB_ERROR_REPORTING": "false", "WANDB_INIT_TIMEOUT": "30"}


def open_tracker(name: TrackerName, place: TrackerPlace) -> Any:
    """Accelerate's tracker of that name, begun; within `quiet_defaults`."""
    from accelerate import tracking

    place.logs.mkdir(parents=True, exist_ok=True)
    match name:
        case "tensorboard":
            tracker = tracking.TensorBoardTracker("tensorboard", place.logs)
        case "mlflow":
            # nested: a run of the caller's own may be under way
            tracker = tracking.MLflowTracker(
                _PROJECT, run_id=place.run_id, run_name=place.run_name, nested_run=True
            )
        case "wandb":
            tracker = tracking.WandBTracker(
                os.environ.get("WANDB_PROJECT", _PROJECT), **_wandb_options(place)
            )
    tracker.start()
    return tracker


def _wandb_options(place: TrackerPlace) -> dict[str, Any]:
    import wandb

    return {
        "name": place.run_name,
        "id": place.run_id or uuid4().hex[:12],
        "resume": "allow",
        "dir": str(place.logs),
        # no copies of the terminal, of code or of what else the machine does: texts could be in them
        "settings": wandb.Settings(
            console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True
        ),
    }


def run_id_of(name: TrackerName, tracker: Any) -> str | None:
    """What the tracker calls its run, for `TrackerPlace.run_id`."""
    match name:
        case "tensorboard":
            return None
        case "mlflow":
            return str(tracker.tracker.info.run_id)
        case "wandb":
            return str(tracker.tracker.id)
