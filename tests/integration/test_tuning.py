"""`tune` from end to end on a tiny base: trials, the final models, the page, and going on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest

import tunesmith as ts
from tests.listeners import Heard
from tunesmith.files import sha256_file

# each trial trains on 39 rows for an epoch or two
SEARCH = {"epochs": "1..2", "method": "full,head-first", "learning_rate": "1e-3..3e-3"}
OFF = dict.fromkeys(("warmup_fraction", "weight_decay", "dropout", "class_weights", "batch_tokens"), "off")


@pytest.fixture(scope="module")
def recipe(tiny_base: Path) -> ts.Recipe:
    # so small a rate learns nothing in one epoch: there is something to be found
    values: dict[str, Any] = {
        "learning_rate": 1e-6,
        "epochs": 1,
        "target_replication": 0.0,
        "token_dropout": 0.0,
    }
    return ts.Recipe(base=str(tiny_base), rival_seconds=0, search=SEARCH | OFF, **values)


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def found(news: Path, recipe: ts.Recipe, heard: Heard, tmp_path_factory: pytest.TempPathFactory) -> ts.Tuning:
    out = tmp_path_factory.mktemp("tuned") / "<news>"
    return ts.tune(news, recipe=recipe, out=out, trials=3, listener=heard)


def test_the_trials_are_told_best_first_and_the_defaults_among_them(found: ts.Tuning) -> None:
    assert [each.state for each in found.trials] == ["complete"] * 3
    scores = [each.score or 0.0 for each in found.trials]
    assert scores == sorted(scores, reverse=True)
    assert found.default == next(each for each in found.trials if each.number == 0)
    assert found.default.params.keys() == {"method", "epochs"}, (
        "the range does not hold the recipe's own rate"
    )
    assert found.best == found.trials[0] != found.default
    assert all(each.figures["score"] == each.score for each in found.trials)
    assert found.recipe.learning_rate == found.best.params["learning_rate"]


def test_the_final_model_is_the_best_trials(found: ts.Tuning) -> None:
    run = json.loads((found.directory / "best/run.json").read_text("utf-8"))
    tried = ts.load(found.model_path), (found.directory / f"trials/{found.best.number:04d}/metrics.jsonl")
    assert tried[0].labels == ("politics", "sports")
    assert run["done"]
    assert run["recipe"]["epochs"] == found.best.params["epochs"]
    assert tried[1].read_text("utf-8") == (found.directory / "best/metrics.jsonl").read_text("utf-8")
    assert found.report is not None
    assert found.report.rows == 10


def test_trials_keep_no_weights(found: ts.Tuning) -> None:
    kept = {path.name for path in (found.directory / "trials").rglob("*") if path.is_file()}
    assert kept == {"recipe.yaml", "metrics.jsonl"}


def test_the_defaults_are_compared_on_the_test_rows(found: ts.Tuning) -> None:
    compared = found.comparison
    assert compared is not None
    assert compared.test is not None
    assert found.report is not None
    theirs = json.loads((found.directory / "defaults/report.json").read_text("utf-8"))
    assert compared.test.metrics["macro_f1"] == pytest.approx(theirs["metrics"]["macro_f1"])
    gain = found.report.metrics["macro_f1"] - theirs["metrics"]["macro_f1"]
    assert compared.test.differences["macro_f1"].value == pytest.approx(gain)
    beaten = compared.test.differences["macro_f1"].low > 0
    assert (compared.headline == "The search beat the defaults") is beaten
    assert compared.validation_gain == pytest.approx((found.best.score or 0) - (found.default.score or 0))
    assert "On the 10 test rows, which chose nothing, macro-F1" in compared.sentences[1]


def test_the_test_rows_are_read_at_the_end_alone(found: ts.Tuning, heard: Heard) -> None:
    order = [stage for stage in heard.stages if stage in ("tune", "evaluate", "compare")]
    assert order == ["tune", "evaluate", "evaluate", "compare"]
    assert "only 12 validation rows: the best of many trials may be but the luckiest" in heard.notes


def test_the_page_shows_it_all_by_itself(found: ts.Tuning) -> None:
    page = (found.directory / "tuning.html").read_text("utf-8")
    assert found.comparison is not None
    assert found.comparison.headline in page
    assert page.count('<tr class="') == 3
    for chart in ("history", "parallel"):
        assert f'aria-labelledby="{chart}-title' in page
    assert page.count('class="way w') == 3
    assert "&lt;news&gt;" in page
    assert "<news>" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert json.loads((found.directory / "tuning.json").read_text("utf-8")) == json.loads(
        json.dumps(found.to_dict())
    )


def test_optunas_dashboard_opens_the_study(found: ts.Tuning) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    app = dashboard.wsgi(optuna.storages.RDBStorage(found.storage))

    def get(path: str) -> Any:
        environ: dict[str, Any] = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        return json.loads(b"".join(app(environ, lambda *_: None)))

    (study,) = get("/api/studies")["study_summaries"]
    assert study["study_name"] == found.study
    trials = get(f"/api/studies/{study['study_id']}")["trials"]
    assert [each["values"] for each in sorted(trials, key=lambda each: -each["values"][0])] == [
        [each.score] for each in found.trials
    ]


def test_it_goes_on_and_what_is_done_is_not_done_again(
    found: ts.Tuning, news: Path, recipe: ts.Recipe
) -> None:
    weights = sha256_file(found.model_path / "model.safetensors")
    ear = Heard()
    again = ts.tune(news, recipe=recipe, out=found.directory, trials=3, listener=ear)
    assert again.to_dict() == found.to_dict()
    assert "train" not in ear.stages
    more = ts.tune(news, recipe=recipe, out=found.directory, trials=4, listener=ear)
    assert {each.number for each in more.trials} == {0, 1, 2, 3}
    is_same = sha256_file(more.model_path / "model.safetensors") == weights
    assert is_same is (more.best == found.best)
    assert more.comparison is not None
    assert any("no longer untouched" in each for each in more.comparison.sentences) is not is_same


def test_other_data_another_task_and_another_place_are_refused(
    found: ts.Tuning, news: Path, recipe: ts.Recipe, tmp_path: Path
) -> None:
    rows = news.read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "less.jsonl").write_text("".join(rows[:-6]), encoding="utf-8")
    with pytest.raises(ts.UserError) as caught:
        ts.tune(tmp_path / "less.jsonl", recipe=recipe, out=found.directory)
    assert {problem.code for problem in caught.value.problems} == {"resume-changed"}
    assert "`sha256.train`: the rows of the train data changed since" in str(caught.value)
    with pytest.raises(ts.UserError, match="exists"):
        ts.tune(news, recipe=recipe, out=tmp_path)
    with pytest.raises(ts.UserError) as refused:
        other = recipe.model_copy(
            update={"validation_fraction": 0.0, "adapt": ts.Recipe(adapt="train").adapt}
        )
        ts.tune(news, recipe=other, out=tmp_path / "new", trials=0)
    assert {problem.code for problem in refused.value.problems} == {
        "bad-budget",
        "no-validation",
        "adapt-first",
    }
    untested = recipe.model_copy(update={"test_fraction": 0.0})
    with pytest.raises(ts.UserError, match="no-test-rows"):
        ts.tune(news, recipe=untested, out=tmp_path / "new", trials=1)
    assert not (tmp_path / "new").exists()


def test_where_nothing_is_better_the_model_is_that_of_the_defaults(
    news: Path, tiny_base: Path, tmp_path: Path
) -> None:
    recipe = ts.Recipe(
        base=str(tiny_base),
        method="head",
        rival_seconds=0,
        search={"class_weights": "none"} | {name: "off" for name in OFF if name != "class_weights"},
    )
    found = ts.tune(news, recipe=recipe, out=tmp_path / "tuned", trials=2)
    assert found.best.defaults, "of equals, the defaults come first"
    assert found.comparison is not None
    assert found.comparison.headline == "The search did not beat the defaults"
    assert found.comparison.test is None
    assert not (tmp_path / "tuned/defaults").exists()
    assert ts.load(found.model_path).labels == ("politics", "sports")


def test_a_task_that_writes_is_searched_too(tiny_base: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"colour {i}", "completion": "green" if i % 2 else "red"} for i in range(24)]
    data = tmp_path / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = ts.Recipe(
        base=str(tiny_base),
        epochs=1,
        max_new_tokens=4,
        learning_rate=1e-6,
        search=OFF | {"learning_rate": "1e-3..1e-2", "method": "full"},
    )
    found = ts.tune(data, recipe=recipe, out=tmp_path / "tuned", trials=2, kind="completion")
    assert found.best.score is not None
    assert found.best.score < 0, "minus the loss"
    assert found.comparison is not None
    assert found.comparison.test is not None
    assert "On the 4 test rows" in found.comparison.sentences[1]
