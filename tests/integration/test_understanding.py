"""From a run to what its report says of when to trust it, and the same again on other rows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tests.models import POLITICS, SPORTS
from tunesmith.evaluation.html import as_html
from tunesmith.files import read_json, write_json
from tunesmith.model.load import load_classifier
from tunesmith.pipeline import find_bundle

SIZES = {"train": 98, "validation": 84, "test": 84}


def _rows(part: str, several: bool = False) -> list[dict[str, Any]]:
    """No text stands in two parts."""
    rows: list[dict[str, Any]] = []
    count = SIZES[part]
    for number in range(count):
        texts, label = (SPORTS, "sports") if number % 2 else (POLITICS, "politics")
        # in each part another row in seven, so that it cannot be learned
        odd = number % 7 == len(part) % 7
        said = POLITICS if odd and texts is SPORTS else texts
        # both labels have the same numbers: they must not tell them apart
        text = f"{said[number // 2 % 3]}, {part} {number // 2 + 50 * odd}"
        labels = ["politics", "sports"] if several and number % 5 == 0 else [label]
        if len(labels) == 2:
            text = f"{POLITICS[number % 3]} and {SPORTS[number % 3]}, {part} {number // 2}"
        row = {"text": text, "label": labels if several else label}
        rows.append({**row, "site": ("north", "south")[odd]})
    return rows


def _save(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _train(base: Path, place: Path, *, several: bool) -> ts.Run:
    parts = {name: _save(place / f"{name}.jsonl", _rows(name, several)) for name in SIZES}
    recipe = ts.Recipe(base=str(base), epochs=4, learning_rate=0.01)
    train, validation, test = (parts[name] for name in SIZES)
    columns = () if several else ("site",)
    return ts.train(
        train, validation=validation, test=test, recipe=recipe, slice_columns=columns, out=place / "run"
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("understood")


@pytest.fixture(scope="module")
def run(tiny_base: Path, place: Path) -> ts.Run:
    return _train(tiny_base, place, several=False)


@pytest.fixture(scope="module")
def topics(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> ts.Run:
    return _train(tiny_base, tmp_path_factory.mktemp("topics"), several=True)


def _told(report: ts.Report) -> Any:
    assert report.understanding is not None
    return report.understanding


def test_every_report_says_when_to_trust_and_where_it_is_weak(run: ts.Run) -> None:
    told = _told(run.report)
    assert told.selection.chance_aurc == pytest.approx(1 - run.report.metrics["accuracy"])
    assert {goal.fitted_on for goal in told.selection.goals} == {"validation"}
    assert [(table.by, table.kind) for table in told.slices] == [
        ("length of the text", "length"),
        ("site", "column"),
    ]
    assert sum(group.rows for group in told.groups) == sum(
        rows
        for one, cells in enumerate(run.report.confusion)
        for other, rows in enumerate(cells)
        if one != other
    )
    assert (told.explained, told.robustness) == ((), None)
    assert ts.Report.from_dict(json.loads(json.dumps(run.report.to_dict()))) == run.report


def test_goals_stay_with_the_bundle(run: ts.Run, place: Path) -> None:
    again = _told(ts.evaluate(run.directory, place / "test.jsonl")).selection
    assert again.goals == _told(run.report).selection.goals
    other = _told(ts.evaluate(run.directory, place / "train.jsonl")).selection
    kept = [(goal.goal, goal.min_confidence, goal.fitted_on) for goal in again.goals]
    assert [(goal.goal, goal.min_confidence, goal.fitted_on) for goal in other.goals] == kept


def test_a_goal_is_what_min_confidence_answers(run: ts.Run, place: Path) -> None:
    texts = [row["text"] for row in _rows("test")]
    goals = [goal for goal in _told(run.report).selection.goals if goal.min_confidence is not None]
    assert goals
    for goal in goals:
        answers = run.load().abstaining(goal.min_confidence).predict(texts)
        assert goal.coverage == pytest.approx(np.mean([not answer.abstained for answer in answers]))


def test_what_is_asked_for_is_measured(run: ts.Run, place: Path) -> None:
    report = ts.evaluate(
        run.directory, place / "test.jsonl", slice_columns=["site"], explain=True, robustness=True
    )
    told = _told(report)
    table = told.slices[-1]
    assert (table.by, table.kind) == ("site", "column")
    assert {each.name: each.rows for each in table.slices} == {"north": 72, "south": 12}
    for found in told.explained:
        mistake = next(each for each in report.mistakes if each.where == found.where)
        assert (found.label, found.probability) == (mistake.predicted, mistake.probability)
        assert mistake.text.startswith(found.text)
        odds = found.probability / (1 - found.probability)
        assert found.log_odds == pytest.approx(np.log(odds), abs=1e-3)
    assert len(told.explained) == min(10, len(report.mistakes)) > 0
    assert told.robustness.accuracy == report.metrics["accuracy"]
    assert [test.name for test in told.robustness.tests] == [
        "lower case",
        "UPPER CASE",
        "typos",
        "no punctuation",
    ]
    page = as_html(report, "t")
    for heading in ("Mistakes in groups", "By site", "Where texts are typed otherwise", "What the words did"):
        assert heading in page
    assert ts.Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_report_from_before_is_opened_and_judged_again(run: ts.Run, place: Path, tmp_path: Path) -> None:
    values = run.report.to_dict()
    del values["understanding"]
    old = ts.Report.from_dict(values)
    assert old.understanding is None
    assert "h-selection" not in as_html(old, "t")
    model = tmp_path / "model"
    model.mkdir()
    for file in run.model_path.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    write_json(model / "report.json", values)
    manifest = read_json(model / "manifest.json")
    del manifest["files"]["report.json"]
    write_json(model / "manifest.json", manifest)
    goals = _told(ts.evaluate(model, place / "test.jsonl")).selection.goals
    assert {goal.fitted_on for goal in goals} == {"test"}


def test_several_labels_are_calibrated_and_understood(topics: ts.Run) -> None:
    report, told = topics.report, _told(topics.report)
    # rows that are nearly those of another part are left out
    said = re.fullmatch(r"([\d.]+), fitted on (\d+) validation rows", report.provenance["temperature"])
    assert said
    assert 50 <= int(said[2]) <= SIZES["validation"]
    temperature = float(said[1])
    assert temperature != 1.0
    assert told.selection.chance_aurc == pytest.approx(1 - report.metrics["subset_accuracy"])
    assert {group.kind for group in told.groups} <= {"missed", "added"}
    again = ts.evaluate(
        topics.directory, topics.directory.parent / "test.jsonl", explain=True, robustness=True
    )
    assert again.metrics == pytest.approx(report.metrics)
    assert _told(again).robustness.accuracy == report.metrics["subset_accuracy"]
    for found in _told(again).explained:
        assert found.label in (*found.predicted.split(", "), *found.truth.split(", "))
    assert "Mistakes in groups" in as_html(again, "t")


def test_the_temperature_of_several_labels_is_in_the_weights(topics: ts.Run) -> None:
    plain = load_classifier(str(topics.model_path), topics.task.labels, kind="multi_label", new_head=False)
    text = "the coach praised the team"
    ids = plain.tokenizer(text, return_tensors="pt")
    chances = plain.model(**ids).logits.sigmoid()[0].tolist()
    assert list(topics.load().predict([text])[0].scores.values()) == pytest.approx(chances, abs=1e-5)


def test_rows_that_were_split_off_keep_their_columns(tiny_base: Path, place: Path, tmp_path: Path) -> None:
    recipe = ts.Recipe(base=str(tiny_base), epochs=1, learning_rate=0.01, test_fraction=0.4)
    run = ts.train(
        place / "train.jsonl", recipe=recipe, slice_columns=["site", "label"], out=tmp_path / "run"
    )
    sites, labels = (table for table in _told(run.report).slices if table.kind == "column")
    assert {each.name: each.rows for each in labels.slices} == {
        found.label: found.rows for found in run.report.per_label
    }
    assert sum(each.rows for each in sites.slices) == run.report.rows


def test_columns_that_are_not_there_are_refused(run: ts.Run, place: Path) -> None:
    with pytest.raises(ts.UserError, match="no-column"):
        ts.evaluate(run.directory, place / "test.jsonl", slice_columns=["sites"])
    with pytest.raises(ts.UserError, match="no-column"):
        ts.train(place / "train.jsonl", slice_columns=["site", "sites"], out=place / "never")
    assert not (place / "never").exists()


def _said(*words: str) -> str:
    from typer.testing import CliRunner

    from tunesmith.cli.main import app

    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_line_shows_it(run: ts.Run, place: Path, tmp_path: Path) -> None:
    shown = _said(
        *("evaluate", str(run.directory), str(place / "test.jsonl"), "--slice-column", "site"),
        *("--explain", "--robustness", "--html", str(tmp_path / "e.html")),
    )
    for part in ("Where only the surest are answered", "Typed otherwise", "What the words did"):
        assert part in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "By site" in (tmp_path / "e.html").read_text("utf-8")


def test_predictions_are_explained_on_the_command_line(run: ts.Run) -> None:
    text = "the coach praised\tthe team [bold]x[/]"
    model = find_bundle(run.directory).predictor()
    values = json.loads(_said("predict", str(run.directory), text, "--explain", "--json"))
    (expected,) = model.explain([text])
    assert values["explanation"]["label"] == values["label"] == expected.label
    for token, found in zip(expected.tokens, values["explanation"]["tokens"], strict=True):
        assert (found["text"], found["start"], found["end"]) == (token.text, token.start, token.end)
        assert found["score"] == pytest.approx(token.score, abs=1e-6)
    lines = _said("predict", str(run.directory), text, "--explain").splitlines()
    assert lines[0].split("\t")[0] == expected.label
    assert lines[1] == "  the coach praised the team [bold]x[/]"
    assert lines[2].startswith("  for:")
    assert lines[3].startswith("  against:")
