"""What a bundle says of itself over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.api.about import about_bundle
from tunesmith.api.schemas import ModelFacts
from tunesmith.bundle import Bundle
from tunesmith.recipe import Recipe
from tunesmith.task import Kind, Task


def bundle_at(
    path: Path,
    base: str = "embedded",
    metrics: dict[str, float] | None = None,
    kind: Kind = "single_label",
) -> Bundle:
    path.mkdir(parents=True)
    scores = metrics or {"macro_f1": 0.9, "accuracy": 0.8}
    report = {
        "rows": 50,
        "metrics": scores,
        "intervals": {name: {"low": value - 0.1, "high": value + 0.1} for name, value in scores.items()},
        "provenance": {"data": "train: /home/someone/secret.csv"},
    }
    (path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return Bundle(path, Task(kind=kind), Recipe(base=base), {})


def test_scores_come_with_their_intervals(tmp_path: Path) -> None:
    about = about_bundle(bundle_at(tmp_path / "news" / "model"))
    facts = ModelFacts(labels=["a", "b"], max_tokens=9, **about)
    assert facts.model == "news"
    assert facts.macro_f1 is not None
    assert (facts.macro_f1.low, facts.macro_f1.value, facts.macro_f1.high) == (0.8, 0.9, 1.0)
    assert facts.test_rows == 50
    assert "secret" not in facts.model_dump_json()


@pytest.mark.parametrize(
    ("base", "shown"), [("gpt2", "gpt2"), ("org/name", "org/name"), ("/home/someone/gpt2", "gpt2")]
)
def test_no_path_is_told(tmp_path: Path, base: str, shown: str) -> None:
    about = about_bundle(bundle_at(tmp_path / "copied", base))
    assert (about["model"], about["base"]) == ("copied", shown)


def test_the_reliability_is_told_where_answers_were(tmp_path: Path) -> None:
    bundle = bundle_at(tmp_path / "news" / "model")
    path = bundle.path / "report.json"
    empty = {"low": 0.0, "high": 0.5, "rows": 0, "confidence": 0.0, "accuracy": 0.0, "interval": None}
    full = empty | {
        "low": 0.5,
        "high": 1.0,
        "rows": 50,
        "accuracy": 0.8,
        "interval": {"low": 0.7, "high": 0.9},
    }
    report = json.loads(path.read_text(encoding="utf-8"))
    report["provenance"]["temperature"] = "1.2, fitted on 59 validation rows"
    report["calibration"] = {"bins": [empty, full], "ece": 0.03, "brier": 0.1}
    path.write_text(json.dumps(report), encoding="utf-8")
    told = ModelFacts(labels=["a"], max_tokens=9, **about_bundle(bundle)).calibration
    assert told is not None
    assert (told.ece, told.temperature) == (0.03, "1.2, fitted on 59 validation rows")
    (only,) = told.bins
    assert (only.rows, only.right.low, only.right.value, only.right.high) == (50, 0.7, 0.8, 0.9)


@pytest.mark.parametrize(
    "calibration",
    [None, {"bins": [], "ece": 0.0}, {"bins": [{"low": 0, "high": 1, "rows": 5, "accuracy": 1}], "ece": 0.1}],
)
def test_what_a_report_does_not_say_is_not_told(tmp_path: Path, calibration: object) -> None:
    bundle = bundle_at(tmp_path / "news" / "model")
    path = bundle.path / "report.json"
    report = json.loads(path.read_text(encoding="utf-8")) | {"calibration": calibration}
    path.write_text(json.dumps(report), encoding="utf-8")
    assert about_bundle(bundle)["calibration"] is None
