"""A model that writes, from the file to the answer."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tests.models import save_tiny_base
from tunesmith.checking import check_file
from tunesmith.errors import BundleError, ConfigError
from tunesmith.files import read_json, sha256_file
from tunesmith.model.load import quiet_transformers
from tunesmith.pipeline import find_bundle
from tunesmith.training.state import Interrupted

COLOURS = {"grass": "green", "snow": "white", "coal": "black", "blood": "red"}


def _pairs(count: int) -> list[dict[str, Any]]:
    things = list(COLOURS)
    return [
        {"prompt": f"{things[n % 4]} number {n}", "completion": COLOURS[things[n % 4]]} for n in range(count)
    ]


def _chats(count: int) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "system", "content": "Name colours."},
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in _pairs(count)
    ]


def _save(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _train(place: Path, recipe: ts.Recipe) -> ts.Run:
    data = _save(place / "a.jsonl", _pairs(80))
    return ts.train(data, kind="completion", recipe=recipe, out=place / "run")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> ts.Recipe:
    base = save_tiny_base(tmp_path_factory.mktemp("base") / "gpt2", "gpt2")
    return ts.Recipe(base=str(base), epochs=12, learning_rate=0.01, precision="fp32")


@pytest.fixture(scope="module", params=["completion", "chat"])
def run(
    request: pytest.FixtureRequest, recipe: ts.Recipe, tmp_path_factory: pytest.TempPathFactory
) -> ts.Run:
    place = tmp_path_factory.mktemp(request.param)
    rows = _pairs(80) if request.param == "completion" else _chats(80)
    kind = request.param
    return ts.train(_save(place / "data.jsonl", rows), kind=kind, recipe=recipe, out=place / "run")


def test_a_run_that_writes(run: ts.Run) -> None:
    assert run.task.writes
    assert run.report.kind == run.task.kind
    assert run.report.writing is not None
    assert {"exact_match", "rouge_l", "token_accuracy", "perplexity"} <= run.report.metrics.keys()
    assert {"untuned base", "nearest example"} <= {rival.name for rival in run.report.rivals}
    assert {"validation_loss", "token_accuracy"} <= run.report.curves[-1].keys()
    assert run.recipe.max_new_tokens is not None
    assert ts.Report.from_dict(find_bundle(run.directory).read("report.json")) == run.report
    assert (run.directory / "report.html").read_text(encoding="utf-8").count("untuned base")


def test_it_learns_what_an_untuned_base_cannot(run: ts.Run) -> None:
    untuned = next(rival for rival in run.report.rivals if rival.name == "untuned base")
    assert run.report.metrics["token_accuracy"] > untuned.metrics["token_accuracy"]
    assert run.report.metrics["perplexity"] < untuned.metrics["perplexity"]


def test_answers_and_choices(run: ts.Run) -> None:
    writer = run.load_writer()
    (written,) = writer.write(["grass number 7"])
    assert written.finish_reason in ("stop", "length")
    assert writer.max_new_tokens == run.recipe.max_new_tokens
    probabilities = writer.choose(["grass number 7", "coal number 9"], list(COLOURS.values()))
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])


def test_transformers_writes_the_same(run: ts.Run) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers():
        model: Any = AutoModelForCausalLM.from_pretrained(run.model_path)
        tokenizer = AutoTokenizer.from_pretrained(run.model_path)
        asked = [{"role": "user", "content": "snow number 5"}]
        ids: Any = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")
        theirs = model.generate(**ids, max_new_tokens=4, do_sample=False, pad_token_id=0)
    text = tokenizer.decode(theirs[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert run.load_writer().write([asked], max_new_tokens=4)[0].text == text


def test_the_saved_model_is_the_judged_one(recipe: ts.Recipe, tmp_path: Path) -> None:
    train, test = _save(tmp_path / "a.jsonl", _pairs(60)), _save(tmp_path / "b.jsonl", _pairs(90)[60:])
    run = ts.train(train, test=test, kind="completion", recipe=recipe, out=tmp_path / "run")
    again = ts.evaluate(run.directory, test, train_data=train)
    assert again.metrics == pytest.approx(run.report.metrics)
    assert [rival.name for rival in again.rivals] == [rival.name for rival in run.report.rivals]


class _Ear(ts.Listener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int]] = []

    def answered(self, who: str, done: int, total: int) -> None:
        self.heard.append((who, done, total))


def test_only_so_many_rows_are_answered_and_told(recipe: ts.Recipe, tmp_path: Path) -> None:
    recipe, ear = recipe.model_copy(update={"judged_rows": 5, "epochs": 1}), _Ear()
    data = _save(tmp_path / "a.jsonl", _pairs(80))
    run = ts.train(data, kind="completion", recipe=recipe, out=tmp_path / "run", listener=ear)
    assert run.report.rows == 5
    # as it is and after examples, then the trained model
    assert ear.heard[:5] == [("the untuned base", done, 5) for done in range(1, 6)]
    assert ear.heard[-5:] == [("the model", done, 5) for done in range(1, 6)]


def test_a_killed_run_goes_on_as_if_nothing_had_been(recipe: ts.Recipe, tmp_path: Path) -> None:
    path, recipe = _save(tmp_path / "a.jsonl", _pairs(80)), recipe.model_copy(update={"epochs": 3})
    whole = ts.train(path, kind="completion", recipe=recipe, out=tmp_path / "whole")
    asked = iter(range(9))
    with pytest.raises(Interrupted):
        ts.train(
            path, kind="completion", recipe=recipe, out=tmp_path / "run", should_stop=lambda: next(asked) == 2
        )
    again = ts.train(path, kind="completion", recipe=recipe, out=tmp_path / "run", resume=True)
    name = "model.safetensors"
    assert sha256_file(again.model_path / name) == sha256_file(whole.model_path / name)
    assert again.report.metrics == whole.report.metrics


def test_adapters_learn_to_write(recipe: ts.Recipe, tmp_path: Path) -> None:
    recipe = recipe.model_copy(update={"method": "lora"})
    run = _train(tmp_path, recipe)
    config = read_json(run.model_path / "config.json")
    assert config["architectures"] == ["GPT2LMHeadModel"]
    untuned = next(rival for rival in run.report.rivals if rival.name == "untuned base")
    assert run.report.metrics["perplexity"] < untuned.metrics["perplexity"]


@pytest.mark.parametrize("method", ["head", "frozen", "head-first"])
def test_methods_for_labels_are_refused(recipe: ts.Recipe, tmp_path: Path, method: Any) -> None:
    recipe = recipe.model_copy(update={"method": method})
    with pytest.raises(ConfigError, match="method-unfit"):
        _train(tmp_path, recipe)


@pytest.mark.parametrize("name", ["scored.csv", "scored.jsonl"])
def test_an_answered_table(run: ts.Run, tmp_path: Path, name: str) -> None:
    rows = _pairs(3) if run.task.kind == "completion" else _chats(3)
    scored = ts.score_file(run.directory, _save(tmp_path / "in.jsonl", rows), tmp_path / name)
    assert scored.rows == 3
    asked = ["grass number 0", "snow number 1", "coal number 2"]
    system = {"role": "system", "content": "Name colours."}
    prompts: list[Any] = (
        asked
        if run.task.kind == "completion"
        else [[system, {"role": "user", "content": text}] for text in asked]
    )
    wanted = [written.text for written in run.load_writer().write(prompts)]
    with (tmp_path / name).open(newline="", encoding="utf-8") as stream:
        found = list(csv.DictReader(stream)) if name.endswith(".csv") else [json.loads(row) for row in stream]
    assert [row["predicted_completion"].lstrip("'") for row in found] == wanted
    assert list(found[0]) == [*rows[0], "predicted_completion", "finish_reason", "truncated"]


def test_the_wrong_door(run: ts.Run) -> None:
    with pytest.raises(BundleError, match="another-kind"):
        run.load()
    with pytest.raises(BundleError, match="another-kind"):
        ts.load(run.directory)
    assert ts.load_writer(run.directory).max_tokens == run.recipe.max_tokens


def test_the_check_measures_prompt_and_answer(recipe: ts.Recipe, tmp_path: Path) -> None:
    _, report, _ = check_file(_save(tmp_path / "a.jsonl", _pairs(40)), kind="completion", base=recipe.base)
    assert report.ok
    assert report.token_lengths is not None
    assert report.token_lengths.longest > 10


def test_what_only_labels_have_is_refused(run: ts.Run, tmp_path: Path) -> None:
    for asked in ({"explain": True}, {"robustness": True}, {"slice_columns": ["site"]}):
        with pytest.raises(ts.UserError, match="for-labels"):
            ts.evaluate(run.directory, tmp_path / "any.jsonl", **asked)
    assert run.report.understanding is None
