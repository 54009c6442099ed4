"""A model that learns from preferences, from the file to the answer."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tests.models import save_tiny_base
from tunesmith.errors import ConfigError
from tunesmith.files import read_json, sha256_file
from tunesmith.pipeline import find_bundle
from tunesmith.training.state import Interrupted

THINGS = ["grass", "snow", "coal", "blood"]
KIND, RUDE = ["yes of course", "with pleasure"], ["no", "go away"]


def _pairs(count: int) -> list[dict[str, Any]]:
    """What is preferred is neither always the longer nor always the shorter answer."""
    return [
        {
            "input": {"messages": [{"role": "user", "content": f"give me {THINGS[n % 4]} number {n}"}]},
            "preferred_output": [{"role": "assistant", "content": KIND[n % 2]}],
            "non_preferred_output": [{"role": "assistant", "content": RUDE[n // 2 % 2]}],
        }
        for n in range(count)
    ]


def _save(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> ts.Recipe:
    base = save_tiny_base(tmp_path_factory.mktemp("base") / "gpt2", "gpt2")
    return ts.Recipe(
        base=str(base), learning_rate=0.003, precision="fp32", batch_tokens=400, test_fraction=0.3
    )


@pytest.fixture(scope="module")
def run(recipe: ts.Recipe, tmp_path_factory: pytest.TempPathFactory) -> ts.Run:
    place = tmp_path_factory.mktemp("run")
    return ts.train(_save(place / "data.jsonl", _pairs(120)), recipe=recipe, out=place / "run")


def test_it_learns_what_is_preferred(run: ts.Run) -> None:
    assert run.task.kind == "preference"
    report, rivals = run.report, {rival.name: rival for rival in run.report.rivals}
    assert report.kind == "preference"
    assert report.preference is not None
    assert report.preference.beta == 0.1
    assert report.metrics["reward_accuracy"] == 1.0
    assert report.metrics["reward_margin"] > 0
    assert report.metrics["preference_loss"] < 0.69
    assert report.intervals["reward_margin"].low > 0
    assert rivals["untuned base"].metrics["reward_accuracy"] < 1
    lengths = [rivals[name].metrics["reward_accuracy"] for name in ("longer answer", "shorter answer")]
    assert sum(lengths) == pytest.approx(1)
    curve = [point["reward_accuracy"] for point in report.curves if "reward_accuracy" in point]
    assert curve[-1] == 1.0
    assert {"validation_loss", "reward_margin"} <= report.curves[-1].keys()


def test_defaults_are_those_of_preferences(run: ts.Run) -> None:
    assert run.recipe.epochs == 3
    assert run.recipe.dropout == 0.0


def test_report_page_and_card_tell_it(run: ts.Run) -> None:
    from rich.console import Console

    from tunesmith.evaluation.terminal import as_terminal

    assert ts.Report.from_dict(find_bundle(run.directory).read("report.json")) == run.report
    page = (run.directory / "report.html").read_text(encoding="utf-8")
    assert "pairs of answers" in page
    assert page.count("with pleasure") + page.count("yes of course") >= 4
    card = (run.model_path / "README.md").read_text(encoding="utf-8")
    assert "Reward accuracy" in card
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(as_terminal(run.report))
    told = console.export_text()
    assert "reward accuracy" in told
    assert max(map(len, told.splitlines())) <= 80


def test_it_writes_and_is_judged_again_as_before(run: ts.Run, tmp_path: Path) -> None:
    (written,) = run.load_writer().write(["give me grass number 7"])
    assert written.text
    test = _save(tmp_path / "test.jsonl", _pairs(140)[120:])
    report = ts.evaluate(run.directory, test)
    assert report.metrics["reward_accuracy"] == 1.0
    assert not report.rivals
    beside = ts.evaluate(run.directory, test, train_data=_save(tmp_path / "train.jsonl", _pairs(40)))
    assert beside.metrics == report.metrics
    assert [rival.name for rival in beside.rivals] == [rival.name for rival in run.report.rivals]


def test_runs_are_compared_by_who_wins(run: ts.Run, recipe: ts.Recipe, tmp_path: Path) -> None:
    firmer = recipe.model_copy(update={"beta": 2.0, "epochs": 1, "method": "lora"})
    data = _save(tmp_path / "data.jsonl", _pairs(120))
    other = ts.train(data, recipe=firmer, out=tmp_path / "firmer")
    assert other.report.preference is not None
    assert other.report.preference.beta == 2.0
    # adapters of another start would be at another place
    assert other.report.metrics["reward_margin"] > 0
    comparison = ts.compare([run, other])
    assert comparison.lead == "reward_accuracy"
    assert "reward_margin" in comparison.runs[1].differences


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(method: str, recipe: ts.Recipe, tmp_path: Path) -> None:
    path = _save(tmp_path / "a.jsonl", _pairs(60))
    recipe = recipe.model_copy(update={"epochs": 2, "method": method})
    whole = ts.train(path, recipe=recipe, out=tmp_path / "whole")
    asked = iter(range(9))
    with pytest.raises(Interrupted):
        ts.train(path, recipe=recipe, out=tmp_path / "cut", should_stop=lambda: next(asked) == 3)
    cut = ts.train(path, recipe=recipe, out=tmp_path / "cut", resume=True)
    weights = [sha256_file(each.model_path / "model.safetensors") for each in (whole, cut)]
    assert weights[0] == weights[1]
    assert cut.report.metrics == whole.report.metrics


def test_without_validation_rows_the_last_weights_stay(recipe: ts.Recipe, tmp_path: Path) -> None:
    recipe = recipe.model_copy(update={"epochs": 1, "validation_fraction": 0.0})
    run = ts.train(_save(tmp_path / "a.jsonl", _pairs(60)), recipe=recipe, out=tmp_path / "run")
    assert all("reward_accuracy" not in point for point in run.report.curves)
    assert read_json(run.directory / "run.json")["done"]


def test_what_needs_the_base_as_it_was_is_refused(recipe: ts.Recipe, tmp_path: Path) -> None:
    path = _save(tmp_path / "a.jsonl", _pairs(40))
    for changes, code in (({"adapt": "train"}, "adapt-first"), ({"method": "head"}, "method-unfit")):
        asked = ts.Recipe.model_validate(recipe.model_dump() | changes)
        with pytest.raises(ConfigError) as caught:
            ts.train(path, recipe=asked, out=tmp_path / "run")
        assert caught.value.problems[0].code == code
