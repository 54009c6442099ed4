"""Bundle -> what /v1/model says of it beside what the predictor knows."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from tunesmith.run import EXPORTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunesmith.bundle import Bundle

__all__ = ["about_bundle", "name_of"]


def about_bundle(bundle: Bundle) -> dict[str, Any]:
    """Name, base, scores on the test rows, and the versions that serve it; no path and no text."""
    report = bundle.read("report.json")
    beside = "micro_f1" if bundle.task.kind == "multi_label" else "accuracy"
    return {
        "model": name_of(bundle.path),
        "base": _base(bundle.recipe.base),
        "kind": bundle.task.kind,
        "macro_f1": _measured(report, "macro_f1"),
        beside: _measured(report, beside),
        "test_rows": report["rows"],
        "versions": {
            "tunesmith": version("tunesmith"),
            "torch": version("torch"),
            "transformers": version("transformers"),
            "python": python_version(),
        },
    }


def name_of(path: Path) -> str:
    """What a model at `path` is called: a run's name for its `model` directory and its exports."""
    path = path.resolve()
    if path.parent.name == EXPORTS:
        return path.parent.parent.name
    return path.parent.name if path.name == "model" else path.name


def _base(base: str) -> str:
    """A hub name as it is; of a place on the disk only its last part."""
    return Path(base).name if base.startswith(("/", "~", ".")) else base


def _measured(report: Mapping[str, Any], metric: str) -> dict[str, float] | None:
    """None where no test rows have judged the model."""
    if metric not in report["metrics"]:
        return None
    return {"value": report["metrics"][metric], **report["intervals"][metric]}
