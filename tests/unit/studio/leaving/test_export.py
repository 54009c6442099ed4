"""What stands in the files that a team downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.studio import classes, pairs, talks
from tunesmith.config import read_config
from tunesmith.data.read import read
from tunesmith.errors import ConfigError, DataError, StorageError
from tunesmith.recipe import Recipe
from tunesmith.studio.leaving.export import read_export
from tunesmith.studio.leaving.plan import planned
from tunesmith.studio.leaving.results_file import last_figures
from tunesmith.task import Task


def saved(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


PROMPTS = [{"prompt": f"the coach {at} ->", "completion": f" fans sang {at}"} for at in range(10)]


@pytest.mark.parametrize(
    ("rows", "kind", "method", "task", "tokens"),
    [
        (talks(12), "writer", "supervised", "chat", 12 * 7),
        (classes(24), "classifier", "supervised", "single_label", 24 * 5),
        (PROMPTS, "writer", "supervised", "completion", 10 * 7),
        (pairs(12), "preferences", "dpo", "preference", 12 * 9),
    ],
    ids=["chat", "classes", "prompts", "preferences"],
)
def test_each_form_is_known(
    tmp_path: Path, rows: list[Any], kind: str, method: str, task: str, tokens: int
) -> None:
    path = saved(tmp_path / "export.jsonl", rows)
    found = read_export(path, path, words)
    assert (found.kind, found.method, found.task.kind) == (kind, method, task)
    assert (found.examples, found.validation_examples, found.tokens) == (len(rows), len(rows), tokens)
    assert found.task.labels == (("politics", "sports") if kind == "classifier" else ())
    planned(found, "embedded", None).write(tmp_path, overwrite=False)
    dataset = read(path, read_config(tmp_path / "task.yaml", Task))
    assert (len(dataset), dataset.task.kind) == (len(rows), task)
    assert read_config(tmp_path / "recipe.yaml", Recipe).test_fraction == 0


def test_every_bad_line_of_both_files_is_told(tmp_path: Path) -> None:
    train = saved(tmp_path / "train.jsonl", [*talks(10), {"messages": []}, {"messages": []}, *talks(1), {}])
    held_out = saved(tmp_path / "held_out.jsonl", [*talks(1), *PROMPTS[:1]])
    with pytest.raises(DataError) as caught:
        read_export(train, held_out, words)
    told = {problem.code: (problem.where, problem.count) for problem in caught.value.problems}
    assert told == {
        "bad-messages": (f"{train}: lines 11-12", 2),
        "not-an-example": (f"{train}: line 14", 1),
        "mixed-forms": (f"{held_out}: line 2", 1),
    }


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 9 example\(s\), but must have at least 10"):
        read_export(saved(tmp_path / "few.jsonl", talks(9)), None, words)
    with pytest.raises(DataError, match="has 0 example"):
        read_export(saved(tmp_path / "none.jsonl", []), None, words)
    with pytest.raises(StorageError):
        read_export(tmp_path / "missing.jsonl", None, words)


def test_a_plan_has_the_numbers_that_auto_becomes(tmp_path: Path) -> None:
    export = read_export(saved(tmp_path / "export.jsonl", pairs(20)), None, words)
    plan = planned(export, "embedded", "news")
    numbers = {"n_epochs": 5, "batch_size": 1, "learning_rate_multiplier": 1.0, "beta": 0.1}
    assert plan.job("file-1", None)["method"] == {"type": "dpo", "dpo": {"hyperparameters": numbers}}
    assert (plan.recipe.epochs, plan.recipe.beta) == (5, 0.1)
    with pytest.raises(ConfigError, match="cannot stand in a name"):
        planned(export, "embedded", "two words")


def test_a_result_file_tells_what_was_last_measured(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    head = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
    path.write_text(f"{head}1,2.5,0.4,,\n2,1.5,0.5,1.75,0.25\n3,1.25,0.5,,nan\n", encoding="utf-8")
    figures = {"step": 3, "train_loss": 1.25, "train_accuracy": 0.5, "valid_loss": 1.75}
    assert last_figures(path) == figures | {"valid_mean_token_accuracy": 0.25}


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "step,train_loss\n", "step,train_loss\n1,low\n"])
def test_another_file_is_no_result_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        last_figures(path)
    assert caught.value.problems[0].code == "bad-results"
