"""Finished runs beside each other, and what more data would bring, from files to pages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tests.listeners import Heard
from tests.models import POLITICS, SPORTS
from tunesmith.cli.main import app
from tunesmith.errors import ConfigError, StorageError
from tunesmith.evaluation.predictions import read_predictions
from tunesmith.training.loop import Interrupted

AS_FOR_MANY: dict[str, Any] = {
    "learning_rate": 1e-3,
    "target_replication": 0.0,
    "token_dropout": 0.0,
    "validation_fraction": 0.2,
    "test_fraction": 0.2,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "news.jsonl"
    rows = [
        # every ninth is labelled wrongly, so that there is something to part on
        {"text": f"{text} in round {number}", "label": label if number % 9 else "sports"}
        for number in range(20)
        for label, texts in (("sports", SPORTS), ("politics", POLITICS))
        for text in texts
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(data: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    for name, epochs in (("short", 1), ("long", 5)):
        recipe = ts.Recipe(base=str(tiny_base), epochs=epochs, **AS_FOR_MANY)
        ts.train(data, recipe=recipe, out=place / name)
    return place


def test_what_is_compared_is_what_the_reports_say(runs: Path) -> None:
    found = ts.compare([runs / "short", runs / "long" / "model"])
    for run in found.runs:
        report = ts.Report.from_dict(json.loads((runs / run.name / "report.json").read_text()))
        # probabilities are kept in fp32
        assert run.metrics == pytest.approx(report.metrics, abs=1e-6)
        assert run.metrics["accuracy"] == report.metrics["accuracy"]
        assert run.intervals["accuracy"] == report.intervals["accuracy"]
        assert run.cost.train_seconds == report.cost.train_seconds
        assert (run.cost.model_bytes or 0) > 10_000
    assert isinstance(found, ts.Comparison)
    assert [run.name for run in found.runs] == ["short", "long"]
    assert {name: run.recipe["epochs"] for name, run in zip("ab", found.runs, strict=True)} == {
        "a": "1",
        "b": "5",
    }


def test_predictions_are_kept_beside_the_report_and_hold_no_text(runs: Path) -> None:
    path = runs / "short" / "predictions.parquet"
    assert len(read_predictions(path)) == 24
    assert b"striker" not in path.read_bytes()
    assert not (runs / "short" / "model" / path.name).exists()


def test_the_verb_prints_a_table_and_writes_a_page(runs: Path, tmp_path: Path) -> None:
    page, names = tmp_path / "compare.html", [str(runs / "short"), str(runs / "long")]
    said = CliRunner().invoke(app, ["compare", *names, "--out", str(page)])
    assert said.exit_code == 0
    assert "long beside short" in said.stdout
    assert "McNemar, exact" in " ".join(said.stdout.split())
    assert 'id="forest-macro_f1-title"' in page.read_text("utf-8")
    again = CliRunner().invoke(app, ["compare", *names, "--out", str(page)])
    assert (again.exit_code, "exists" in again.stderr) == (1, True)
    values = json.loads(CliRunner().invoke(app, ["compare", *names, "--json"]).stdout)
    assert values == ts.compare([runs / "short", runs / "long"]).to_dict()


def test_models_can_answer_other_rows_instead(runs: Path, data: Path, tmp_path: Path) -> None:
    rows, fresh = data.read_text("utf-8").splitlines(keepends=True), tmp_path / "fresh.jsonl"
    fresh.write_text("".join(rows[:30]), encoding="utf-8")
    model = shutil.copytree(runs / "long" / "model", tmp_path / "bundle")
    found = ts.compare([runs / "short", model], data=fresh)
    report = ts.evaluate(model, fresh)
    assert found.runs[1].metrics == pytest.approx(report.metrics)
    assert (found.rows, found.runs[1].name) == (30, "bundle")
    assert found.runs[1].cost.train_seconds is not None
    assert found.runs[0].metrics == pytest.approx(ts.evaluate(runs / "short", fresh).metrics)


def test_what_cannot_be_compared_is_told_all_at_once(runs: Path, tmp_path: Path) -> None:
    stopped, old = tmp_path / "stopped", tmp_path / "old"
    stopped.mkdir()
    (stopped / "run.json").write_text('{"done": false}')
    shutil.copytree(runs / "short", old, ignore=shutil.ignore_patterns("predictions.parquet", "model"))
    with pytest.raises(StorageError) as told:
        ts.compare([runs / "long", tmp_path / "none", stopped, old])
    assert [each.code for each in told.value.problems] == ["no-run", "run-unfinished", "no-predictions"]
    with pytest.raises(ConfigError, match="one-run"):
        ts.compare([runs / "long"])


def test_a_learning_curve_is_the_same_stopped_or_not(
    data: Path, tiny_base: Path, tmp_path: Path, runs: Path
) -> None:
    recipe, whole, halted = ts.Recipe(base=str(tiny_base), epochs=2, **AS_FOR_MANY), Heard(), Heard()
    run = ts.train(data, recipe=recipe, out=tmp_path / "whole", learning_curve=True, listener=whole)
    curve = run.report.learning_curve
    assert curve is not None
    train = 120 - 24 - curve.judged_rows
    assert [point.rows for point in curve.points] == [round(train / 4), round(train / 2), train]
    assert curve.measured_on == "validation"
    assert whole.stages == ["read", "check", "tokenise", "train", "evaluate", "learning-curve", "write"]
    assert ts.Report.from_dict(json.loads((run.directory / "report.json").read_text())) == run.report
    assert "What more data would bring" in (run.directory / "report.html").read_text("utf-8")
    assert not (run.directory / "learning-curve").exists()

    def in_the_second_size() -> bool:
        return "learning-curve" in halted.stages and len(halted.progress) >= len(whole.progress) - 1

    out = tmp_path / "halted"
    with pytest.raises(Interrupted):
        ts.train(
            data,
            recipe=recipe,
            out=out,
            learning_curve=True,
            listener=halted,
            should_stop=in_the_second_size,
        )
    assert (out / "learning-curve" / f"{curve.points[0].rows}.json").is_file()
    resumed = Heard()
    again = ts.train(data, recipe=recipe, out=out, learning_curve=True, resume=True, listener=resumed)
    assert again.report.learning_curve is not None
    assert len(resumed.progress) < len(whole.progress) - 3, "what was done is not done again"
    for one, other in zip(again.report.learning_curve.points, curve.points, strict=True):
        assert (one.rows, one.macro_f1, one.interval) == (other.rows, other.macro_f1, other.interval)
        assert one.rival_macro_f1 == other.rival_macro_f1


def test_a_curve_of_several_labels_and_without_validation_rows(tiny_base: Path, tmp_path: Path) -> None:
    texts = [*SPORTS, *POLITICS]
    rows = [
        {"text": f"{texts[at % 6]} {at}", "label": [["a"], ["a", "b"], ["b"]][at % 3]} for at in range(120)
    ]
    path = tmp_path / "several.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = ts.Recipe(base=str(tiny_base), epochs=1, **AS_FOR_MANY | {"validation_fraction": 0.0})
    run = ts.train(path, kind="multi_label", recipe=recipe, out=tmp_path / "run", learning_curve=True)
    curve = run.report.learning_curve
    assert curve is not None
    assert (curve.measured_on, curve.judged_rows) == ("test", run.report.rows)
    assert curve.points[-1].macro_f1 == run.report.metrics["macro_f1"]
    assert curve.points[-1].rival_macro_f1 == run.report.rivals[1].metrics["macro_f1"]
    assert ts.compare([run, run]).runs[1].apart == 0


def test_a_curve_that_cannot_be_made_is_refused_before_training(
    data: Path, tiny_base: Path, tmp_path: Path
) -> None:
    few, ear = tmp_path / "few.jsonl", Heard()
    few.write_text("".join(data.read_text("utf-8").splitlines(keepends=True)[:30]))
    with pytest.raises(ConfigError, match="no-learning-curve"):
        ts.train(
            few,
            recipe=ts.Recipe(base=str(tiny_base)),
            out=tmp_path / "run",
            learning_curve=True,
            listener=ear,
        )
    assert "train" not in ear.stages
    assert not (tmp_path / "run").exists()
    untested = ts.Recipe(base=str(tiny_base), test_fraction=0.0)
    with pytest.raises(ConfigError, match="no rows are kept for a test"):
        ts.train(data, recipe=untested, out=tmp_path / "run", learning_curve=True)
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"colour of {at}", "completion": f"red {at}"} for at in range(60)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(ConfigError, match="this task writes text"):
        ts.train(pairs, recipe=ts.Recipe(base=str(tiny_base)), out=tmp_path / "run", learning_curve=True)
