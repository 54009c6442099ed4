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

__all__ = ["about_bundle", "base_name", "name_of"]


def about_bundle(bundle: Bundle) -> dict[str, Any]:
    """Name, base, scores on the test rows, and the versions that serve it; no path and no text."""
    report = bundle.read("report.json")
    beside = "micro_f1" if bundle.task.kind == "multi_label" else "accuracy"
    return {
        "model": name_of(bundle.path),
        "base": base_name(bundle.recipe.base),
        "kind": bundle.task.kind,
        "macro_f1": _measured(report, "macro_f1"),
        beside: _measured(report, beside),
        "test_rows": report["rows"],
        "calibration": _calibrated(report),
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


def base_name(base: str) -> str:
    """A hub name as it is; of a place on the disk only its last part."""
    return Path(base).name if base.startswith(("/", "~", ".")) else base


def _measured(report: Mapping[str, Any], metric: str) -> dict[str, float] | None:
    """None where no test rows have judged the model."""
    if metric not in report["metrics"]:
        return None
    return {"value": report["metrics"][metric], **report["intervals"][metric]}


def _calibrated(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """The reliability bins, where the report has them with intervals, as early versions did not."""
    told = report.get("calibration") or {}
    filled = [found for found in told.get("bins", ()) if found["rows"]]
    if not filled or not all(found.get("interval") for found in filled):
        return None
    bins = [
        {
            "low": found["low"],
            "high": found["high"],
            "rows": found["rows"],
            "right": {"value": found["accuracy"], **found["interval"]},
        }
        for found in filled
    ]
    temperature = report.get("provenance", {}).get("temperature")
    return {"ece": told["ece"], "temperature": temperature, "bins": bins}
