"""A run that keeps no row for a test, and one whose test rows are followed while it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tests.models import POLITICS, SPORTS
from tunesmith.api.about import about_bundle
from tunesmith.bundle import open_bundle
from tunesmith.evaluation.terminal import as_terminal
from tunesmith.files import sha256_file
from tunesmith.pipeline import train


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chats") / "chats.jsonl"
    said = [
        [
            {"role": "user", "content": f"{text} {number}"},
            {"role": "assistant", "content": f"{number} {text}"},
        ]
        for number in range(3)
        for text in (*SPORTS, *POLITICS)
    ]
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in said))
    return path


def recipe(base: Path, **values: Any) -> ts.Recipe:
    return ts.Recipe(base=str(base), epochs=2, validation_fraction=0.0, learning_rate=0.01, **values)


@pytest.mark.parametrize("kind", ["single_label", "chat"])
def test_a_run_without_a_test_trains_on_all_rows_and_says_that_nothing_was_measured(
    tiny_base: Path, news: Path, chats: Path, tmp_path: Path, kind: str
) -> None:
    data = chats if kind == "chat" else news
    run = train(data, out=tmp_path / "run", recipe=recipe(tiny_base, test_fraction=0.0))
    assert run.data_report.rows == len(data.read_text().splitlines())
    assert run.report.rows == 0
    assert run.report.metrics == {}
    assert run.report.verdict.headline == "Nothing was measured"
    assert ts.Report.from_dict(json.loads((run.directory / "report.json").read_text())) == run.report
    for page in (run.directory / "report.html", run.model_path / "README.md"):
        assert "Nothing was measured" in page.read_text()
    assert as_terminal(run.report)
    assert not (run.directory / "predictions.parquet").exists()
    if kind == "chat":
        assert run.load_writer()
        return
    facts = about_bundle(open_bundle(run.model_path))
    assert (facts["macro_f1"], facts["accuracy"], facts["test_rows"]) == (None, None, 0)
    assert run.load().predict(["a goal"])


def test_test_rows_that_are_followed_change_nothing(tiny_base: Path, news: Path, tmp_path: Path) -> None:
    runs = [
        train(news, out=tmp_path / str(follow), recipe=recipe(tiny_base, rival_seconds=0), follow_test=follow)
        for follow in (False, True)
    ]
    weights = [sha256_file(run.model_path / "model.safetensors") for run in runs]
    assert weights[0] == weights[1]
    measured = ["validation_loss" in row for run in runs for row in run.report.curves]
    assert measured.count(True) == 2  # once an epoch, of the second run alone
