"""A text with any number of labels, from the file to the answer."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import tunesmith as ts
from tests.models import POLITICS, SPORTS
from tunesmith.checking import check_file, mend_file
from tunesmith.errors import BundleError, Problem
from tunesmith.files import read_json, sha256_file, write_json
from tunesmith.model.load import quiet_transformers
from tunesmith.pipeline import find_bundle
from tunesmith.training.loop import Interrupted

TEXTS = ["the coach praised the team", "parliament passed the budget and the coach praised the team", "so"]


def _rows(count: int, joined: str | None = None) -> list[dict[str, Any]]:
    rows = []
    for number in range(count):
        sports, politics = number % 2 == 0, number % 3 == 0
        parts = [SPORTS[number % 3]] * sports + [POLITICS[number % 3]] * politics or ["nothing at all"]
        labels = ["sports"] * sports + ["politics"] * politics
        text = f"{' and '.join(parts)} {number}"
        rows.append({"text": text, "topics": labels if joined is None else joined.join(labels)})
    return rows


def _save(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def recipe(tiny_base: Path) -> ts.Recipe:
    return ts.Recipe(base=str(tiny_base), epochs=2, learning_rate=0.01)


@pytest.fixture(scope="module")
def run(recipe: ts.Recipe, tmp_path_factory: pytest.TempPathFactory) -> ts.Run:
    place = tmp_path_factory.mktemp("several")
    return ts.train(_save(place / "topics.jsonl", _rows(90)), recipe=recipe, out=place / "run")


def test_a_run_of_several_labels(run: ts.Run) -> None:
    assert (run.task.kind, run.task.labels) == ("multi_label", ("politics", "sports"))
    assert run.report.kind == "multi_label"
    assert {rival.name for rival in run.report.rivals} == {"majority", "TF-IDF + LR", "n-grams", "probe"}
    assert any(problem.code == "no-labels" for problem in run.data_report.problems)
    assert {"macro_f1", "micro_f1", "validation_loss"} <= run.report.curves[-1].keys()
    values = read_json(run.model_path / "thresholds.json")
    assert values["labels"].keys() == {"politics", "sports"}
    assert [found.threshold for found in run.report.per_label] == list(values["labels"].values())
    assert ts.Report.from_dict(find_bundle(run.directory).read("report.json")) == run.report


def test_an_answer_holds_the_labels_over_their_thresholds(run: ts.Run) -> None:
    model = run.load()
    thresholds = dict(zip(model.labels, model.thresholds.labels, strict=True))
    for prediction in model.predict(TEXTS):
        over = {label for label, score in prediction.scores.items() if score >= thresholds[label]}
        assert set(prediction.target) == set(prediction.labels) == over
        assert isinstance(prediction.target, tuple)
        assert [label for label, _ in prediction.top() if label in over] == list(prediction.target)
    alone = [model.predict([text])[0] for text in TEXTS]
    together = model.predict(TEXTS)
    assert [each.target for each in alone] == [each.target for each in together]


def test_a_model_of_several_labels_abstains_by_its_thresholds_alone(run: ts.Run) -> None:
    assert run.load().abstaining(0.0).min_confidence == 0.0
    with pytest.raises(ts.UserError, match="no-abstaining"):
        run.load().abstaining(0.5)


def test_transformers_answers_with_the_same_probabilities(run: ts.Run) -> None:
    from transformers import pipeline

    ours = run.load().predict(TEXTS)
    with quiet_transformers():
        classify = pipeline("text-classification", model=str(run.model_path), top_k=None)
        theirs = [classify(text)[0] for text in TEXTS]
    for mine, other in zip(ours, theirs, strict=True):
        rows = other if isinstance(other, list) else [other]
        assert {row["label"]: row["score"] for row in rows} == pytest.approx(mine.scores, abs=1e-5)


def test_the_saved_model_is_the_judged_one(run: ts.Run, recipe: ts.Recipe, tmp_path: Path) -> None:
    test = _save(tmp_path / "test.jsonl", _rows(45))
    judged = ts.train(_save(tmp_path / "a.jsonl", _rows(90)), test=test, recipe=recipe, out=tmp_path / "run")
    again = ts.evaluate(judged.directory, test, train_data=tmp_path / "a.jsonl")
    assert again.metrics == pytest.approx(judged.report.metrics)
    assert again.mix_ups == judged.report.mix_ups
    assert [rival.name for rival in again.rivals] == ["majority", "TF-IDF + LR", "n-grams", "probe"]


@pytest.mark.parametrize("separator", [";", "|", ", "])
def test_cells_are_parted_where_that_is_asked_for(recipe: ts.Recipe, tmp_path: Path, separator: str) -> None:
    path = _save(tmp_path / "a.csv", _rows(60, separator))
    run = ts.train(path, kind="multi_label", recipe=recipe, out=tmp_path / "run")
    assert run.task.labels == ("politics", "sports")
    assert run.task.separator == separator.strip()
    assert ts.evaluate(run.directory, path).rows == 60
    dataset, report, _ = check_file(path, kind="multi_label", base=recipe.base)
    assert dataset.label_counts == report.label_counts == {"politics": 20, "sports": 30}


def test_a_killed_run_goes_on_as_if_nothing_had_been(run: ts.Run, recipe: ts.Recipe, tmp_path: Path) -> None:
    path = _save(tmp_path / "topics.jsonl", _rows(90))
    asked = iter(range(9))
    with pytest.raises(Interrupted):
        ts.train(path, recipe=recipe, out=tmp_path / "run", should_stop=lambda: next(asked) == 2)
    again = ts.train(path, recipe=recipe, out=tmp_path / "run", resume=True)
    assert sha256_file(again.model_path / "model.safetensors") == sha256_file(
        run.model_path / "model.safetensors"
    )
    assert again.report.metrics == run.report.metrics


@pytest.mark.parametrize("name", ["scored.csv", "scored.jsonl", "scored.parquet"])
def test_a_scored_table(run: ts.Run, tmp_path: Path, name: str) -> None:
    rows = [{"text": text} for text in (*TEXTS, "")]
    scored = ts.score_file(run.directory, _save(tmp_path / "in.jsonl", rows), tmp_path / name)
    assert scored.rows == 4
    answers = run.load().predict(TEXTS)
    found = _table(tmp_path / name)
    for row, prediction in zip(found, answers, strict=False):
        labels, scores = row["predicted_labels"], row["probabilities"]
        if name.endswith(".csv"):
            labels = labels.split(";") if labels else []
            scores = [float(score) for score in scores.split(";")] if scores else []
        assert tuple(labels) == prediction.target
        assert scores == pytest.approx([prediction.scores[label] for label in labels], abs=1e-6)
    assert not found[3]["predicted_labels"]


def _table(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".csv":
            with path.open(newline="", encoding="utf-8") as stream:
                return list(csv.DictReader(stream))
        case ".parquet":
            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        case _:
            return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("content", ["{}", '{"shared": 0.5, "labels": {"sports": 0.5}}', "[", None])
def test_thresholds_that_cannot_be_read(run: ts.Run, tmp_path: Path, content: str | None) -> None:
    import shutil

    model = tmp_path / "model"
    shutil.copytree(run.model_path, model)
    thresholds = model / "thresholds.json"
    manifest = read_json(model / "manifest.json")
    if content is None:
        thresholds.unlink()
        del manifest["files"]["thresholds.json"]
    else:
        thresholds.write_text(content)
        manifest["files"]["thresholds.json"] = sha256_file(thresholds)
    write_json(model / "manifest.json", manifest)
    assert _refused(lambda: ts.load(model)).code == "bundle-damaged"


def _said(*words: str) -> str:
    from typer.testing import CliRunner

    from tunesmith.cli.main import app

    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_line_prints_the_labels_given(run: ts.Run) -> None:
    model = str(run.directory)
    for text, prediction in zip(TEXTS, run.load().predict(TEXTS), strict=True):
        cells = _said("predict", model, text).rstrip("\n").split("\t")
        expected = prediction.labels or ("(no label)",)
        assert tuple(cells[::2]) == expected
        values = json.loads(_said("predict", model, text, "--json"))
        assert values["labels"] == list(prediction.labels)
        assert [row["label"] for row in values["scores"]] == list(prediction.labels)
        assert len(json.loads(_said("predict", model, text, "--json", "--top", "9"))["scores"]) == 2


def test_the_kind_is_named_on_the_command_line(tmp_path: Path) -> None:
    data, task = _save(tmp_path / "a.csv", _rows(60, ";")), tmp_path / "task.yaml"
    checked = json.loads(_said("check", str(data), "--kind", "multi-label", "--json"))
    assert checked["label_counts"] == {"politics": 20, "sports": 30}
    _said("init", str(data), "--kind", "multi-label", "--out", str(task))
    assert "kind: multi_label" in task.read_text()
    assert "separator: ;" in task.read_text()
    again = json.loads(_said("check", str(data), "--task", str(task), "--json"))
    assert again["label_counts"] == checked["label_counts"]
    assert ts.read(data, kind="single_label").task.labels == ("politics", "sports", "sports;politics")


def _refused(action: Any) -> Problem:
    with pytest.raises(BundleError) as caught:
        action()
    (problem,) = caught.value.problems
    return problem


def test_mended_data_can_be_learned_from(tmp_path: Path) -> None:
    rows = [*_rows(30, "|"), {"text": "twice", "topics": "Sports|politics"}, {"text": "", "topics": "sports"}]
    done = mend_file(_save(tmp_path / "a.csv", rows), tmp_path / "b.csv", kind="multi_label")
    assert any("relabelled from 'Sports' to 'sports'" in note for note in done)
    mended = ts.read(tmp_path / "b.csv", kind="multi_label")
    assert len(mended) == 31
    assert mended.task.labels == ("politics", "sports")


def test_a_label_that_only_the_test_set_has_is_refused(recipe: ts.Recipe, tmp_path: Path) -> None:
    train = _save(tmp_path / "a.jsonl", _rows(60))
    test = _save(tmp_path / "b.jsonl", [*_rows(9), {"text": "new", "topics": ["sports", "weather"]}])
    with pytest.raises(ts.UserError, match="'weather' is not a label of the training data"):
        ts.train(train, test=test, recipe=recipe, out=tmp_path / "run")


def test_real_news_has_several_topics(shared: Path) -> None:
    data = shared / "data" / "reuters21578"
    dataset, test = ts.read(data / "train.parquet"), ts.read(data / "test.parquet")
    assert (dataset.task.kind, len(dataset), len(dataset.task.labels)) == ("multi_label", 7770, 90)
    report = ts.check(dataset, held_out={"test": test})
    assert report.ok
    splits = ts.split(dataset, seed=0, validation_fraction=0.1, test_fraction=0.15, test=test)
    assert (len(splits.test), report.leaks) == (3019, 6)
    counts = splits.train.label_counts
    assert all(counts.values()), "every label has a row to learn from"
    held = splits.validation.label_counts
    shares = np.array([held[label] / (held[label] + counts[label]) for label in counts if counts[label] > 30])
    assert np.abs(shares - 0.1).max() < 0.05


@pytest.mark.parametrize("method", ["lora", "head", "frozen", "head-first"])
def test_every_method_learns_several_labels(recipe: ts.Recipe, tmp_path: Path, method: Any) -> None:
    recipe = recipe.model_copy(update={"method": method, "epochs": 4})
    run = ts.train(_save(tmp_path / "a.jsonl", _rows(90)), recipe=recipe, out=tmp_path / "run")
    majority = next(rival for rival in run.report.rivals if rival.name == "majority")
    assert run.report.metrics["macro_f1"] > majority.metrics["macro_f1"]
    prediction = run.load().predict(["the coach praised the team"])[0]
    assert all(0 < score < 1 for score in prediction.scores.values())
