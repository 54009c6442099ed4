"""A model that writes, as people meet it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.models import save_tiny_base

COLOURS = {"grass": "green", "snow": "white", "coal": "black", "blood": "red"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base, pairs.jsonl, and a finished run on it at `run`."""
    place = tmp_path_factory.mktemp("desk")
    save_tiny_base(place / "base", "gpt2")
    things = list(COLOURS)
    rows = [
        {"prompt": f"colour of {things[n % 4]}, {n}", "completion": f"{COLOURS[things[n % 4]]} {n}"}
        for n in range(60)
    ]
    (place / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    Cli(place)("train", "pairs.jsonl", "--base", "base", "--out", "run", "--epochs", "2").good()
    return place


def test_a_run_says_what_it_learned_and_how_it_was_judged(desk: Path) -> None:
    said = Cli(desk)("report", "run").good()
    assert "ROUGE-L" in said.out
    assert "untuned base" in said.out
    assert (desk / "run/report.html").read_text("utf-8").startswith("<!doctype html>")
    assert "tunesmith predict" in (desk / "run/model/README.md").read_text("utf-8")


def test_prompts_are_answered(desk: Path) -> None:
    cli = Cli(desk)
    said = cli("predict", "run", "--json", "--max-new-tokens", "3", stdin="colour of grass\ncoal\n").good()
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert len(answers) == 2
    assert all(answer["tokens"] <= 3 for answer in answers)
    held = cli("predict", "run", "colour of snow", "--choices", "white, black", "--top", "2").good()
    cells = held.out.strip().split("\t")
    assert {cells[0], cells[2]} == {"white", "black"}
    assert float(cells[1]) + float(cells[3]) == pytest.approx(1, abs=1e-3)


def test_a_table_of_prompts_is_answered(desk: Path) -> None:
    Cli(desk)("predict", "run", "--file", "pairs.jsonl", "--out", "answered.csv").good()
    with (desk / "answered.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 60
    assert list(rows[0]) == ["prompt", "completion", "predicted_completion", "finish_reason", "truncated"]


def test_it_is_judged_anew(desk: Path) -> None:
    said = Cli(desk)("evaluate", "run", "pairs.jsonl", "--train", "pairs.jsonl", "--json").good()
    report = json.loads(said.out)
    assert (report["kind"], report["rows"]) == ("completion", 60)
    assert "nearest example" in {rival["name"] for rival in report["rivals"]}


def test_what_is_for_labels_is_refused(desk: Path) -> None:
    cli = Cli(desk)
    cli("serve", "run").refused("another-kind")
    cli("train", "pairs.jsonl", "--base", "base", "--method", "head", "--out", "no").refused("method-unfit")
    (desk / "empty.jsonl").write_text('{"prompt": "a", "completion": " "}\n' * 12, encoding="utf-8")
    cli("train", "empty.jsonl", "--kind", "completion", "--out", "no").refused(
        "empty-completion", "all-duplicates"
    )
    assert not (desk / "no").exists()
