"""When something goes wrong, a run says what, loses nothing, and never goes on with another's things."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tests.models import save_tiny_base
from tunesmith.files import read_json, sha256_file, write_json
from tunesmith.model.fingerprint import fingerprint
from tunesmith.model.load import load_classifier
from tunesmith.training.loop import Interrupted, Progress


class _Ear(ts.Listener):
    """Remembers notes, and asks for a stop after so many steps."""

    def __init__(self, stop_after: int = 0) -> None:
        self.notes: list[str] = []
        self.steps = 0
        self.stop_after = stop_after

    def note(self, text: str) -> None:
        self.notes.append(text)

    def training(self, progress: Progress) -> None:
        self.steps += 1

    def should_stop(self) -> bool:
        return self.steps == self.stop_after


Train = Callable[..., ts.Run]


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_base, tmp_path / "base")


@pytest.fixture
def train(base: Path, news: Path, tmp_path: Path) -> Train:
    """Train at `run`, with values of the recipe as keywords."""
    data = shutil.copy(news, tmp_path / "news.jsonl")

    def call(ear: _Ear | None = None, *, out: str = "run", resume: bool = False, **values: Any) -> ts.Run:
        ear = ear or _Ear()
        given = {name: values.pop(name) for name in ("task", "test") if name in values}
        # a checkpoint each epoch
        usual = {"epochs": 3, "batch_tokens": 150, "validation_fraction": 0.1}
        recipe = ts.Recipe(base=str(base), **usual | values)
        return ts.train(
            data,
            out=tmp_path / out,
            recipe=recipe,
            resume=resume,
            listener=ear,
            should_stop=ear.should_stop,
            **given,
        )

    return call


def _stop(train: Train, after: int = 7) -> None:
    with pytest.raises(Interrupted):
        train(_Ear(after))


def _changed(call: Callable[[], object]) -> dict[str, str]:
    """key -> what was told of it."""
    with pytest.raises(ts.UserError) as caught:
        call()
    assert {problem.code for problem in caught.value.problems} == {"resume-changed"}
    return {problem.what.split("`")[1]: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"epochs": 4}, "recipe.epochs"),
        ({"seed": 1}, "recipe.seed"),
        ({"batch_tokens": 151}, "recipe.batch_tokens"),
        ({"micro_batch_tokens": 64}, "recipe.micro_batch_tokens"),
        ({"dropout": 0.0}, "recipe.dropout"),
        ({"task": ts.Task(labels=("sports", "politics"))}, "task.labels"),
    ],
)
def test_another_recipe_or_task_is_refused_by_key(train: Train, values: dict[str, Any], key: str) -> None:
    _stop(train, after=1)
    told = _changed(lambda: train(resume=True, **values))
    assert key in told
    assert told.keys() <= {key, "split", "sha256.train", "sha256.validation", "sha256.test"}
    assert train(resume=True).report.rows


def test_a_changed_data_file_is_refused_by_part(train: Train, tmp_path: Path) -> None:
    data, test = tmp_path / "news.jsonl", tmp_path / "test.jsonl"
    rows = data.read_text()
    test.write_text("".join(row.replace("round", "test") + "\n" for row in rows.splitlines()[:12]))
    with pytest.raises(Interrupted):
        train(_Ear(1), test=test)
    test.write_text(test.read_text().replace("0 tests", "0 tries"))
    told = _changed(lambda: train(resume=True, test=test))
    assert told == {"sha256.test": "`sha256.test`: the rows of the test data changed since the run began"}
    data.write_text(rows.replace("striker", "keeper"))
    assert {"sha256.train", "sha256.test"} <= _changed(lambda: train(resume=True, test=test)).keys()


def test_another_base_at_the_same_place_is_refused(train: Train, base: Path) -> None:
    _stop(train, after=1)
    kept = (base / "model.safetensors").read_bytes()
    save_tiny_base(base, seed=1)
    told = _changed(lambda: train(resume=True))
    assert told == {"base.weights": "`base.weights`: the weights of the base changed since the run began"}
    (base / "model.safetensors").write_bytes(kept)
    described = read_json(base / "tokenizer.json")
    described["model"]["merges"].reverse()
    write_json(base / "tokenizer.json", described)
    assert "base.tokenizer" in _changed(lambda: train(resume=True))


def test_a_run_of_another_format_is_refused(train: Train, tmp_path: Path) -> None:
    _stop(train, after=1)
    about = read_json(tmp_path / "run" / "run.json")
    write_json(tmp_path / "run" / "run.json", about | {"format": 99})
    assert "another format (99, here 1)" in _changed(lambda: train(resume=True))["format"]
    del about["format"]
    write_json(tmp_path / "run" / "run.json", about)
    assert list(_changed(lambda: train(resume=True))) == ["format"]


def test_a_checkpoint_that_was_put_in_from_another_run_is_refused(train: Train, tmp_path: Path) -> None:
    _stop(train, after=1)
    with pytest.raises(Interrupted):
        train(_Ear(7), out="other", seed=5)
    shutil.copytree(tmp_path / "other" / "checkpoints", tmp_path / "run" / "checkpoints", dirs_exist_ok=True)
    assert {"settings.seed", "plan.seed"} <= _changed(lambda: train(resume=True)).keys()


def test_a_fingerprint_knows_weights_and_tokenizer_but_not_the_head(tiny_base: Path, tmp_path: Path) -> None:
    first = load_classifier(str(tiny_base), ("a", "b"), seed=0)
    first.tokenizer("a text", truncation=True, max_length=3)
    other_head = load_classifier(str(tiny_base), ("a", "b", "c"), seed=1)
    assert fingerprint(first) == fingerprint(other_head)
    other = load_classifier(str(save_tiny_base(tmp_path / "other", seed=1)), ("a", "b"))
    assert fingerprint(first)["tokenizer"] == fingerprint(other)["tokenizer"]
    assert fingerprint(first)["weights"] != fingerprint(other)["weights"]


def test_a_damaged_checkpoint_is_told_and_changes_nothing(train: Train, tmp_path: Path) -> None:
    whole, ear = train(out="whole"), _Ear()
    _stop(train, after=7)
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))[-1]
    damaged = bytearray((newest / "model.safetensors").read_bytes())
    damaged[len(damaged) // 2] ^= 16
    (newest / "model.safetensors").write_bytes(damaged)
    resumed = train(ear, resume=True)
    assert any("step-00000007 is damaged and passed over: step-00000007/model" in note for note in ear.notes)
    assert any("going on after step " in note and "after step 7 " not in note for note in ear.notes)
    weights = [sha256_file(run.model_path / "model.safetensors") for run in (whole, resumed)]
    assert weights[0] == weights[1]
    assert resumed.report.curves == whole.report.curves


def test_what_killed_writers_left_is_swept(train: Train, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".run.json.0123abcd.tmp").write_text("{")
    _stop(train, after=1)
    for place in (run / ".model.0123abcd.tmp", run / "checkpoints" / ".best-00000005.0123abcd.tmp"):
        place.mkdir()
    (run / ".mine").write_text("")
    ear = _Ear()
    train(ear, resume=True)
    assert [path.name for path in run.glob(".*")] == [".mine"]


def test_a_bad_loss_names_lines_of_the_file(train: Train, tmp_path: Path) -> None:
    with pytest.raises(ts.UserError) as caught:
        train(learning_rate=0.999, max_gradient_norm=1e30, warmup_fraction=0.0, weight_decay=1e20)
    [problem] = caught.value.problems
    assert problem.code == "bad-loss"
    assert problem.where.startswith(f"{tmp_path / 'news.jsonl'}:"), problem
    assert "more rows)" in problem.where or problem.count <= 10
    assert "a third of the learning rate" in problem.fix


def test_the_peak_of_memory_is_told_and_kept(train: Train) -> None:
    ear = _Ear()
    run = train(ear, epochs=1)
    assert any(note.startswith("peak memory: ") for note in ear.notes)
    assert run.report.cost.peak_memory_bytes is not None
    assert run.report.cost.peak_memory_bytes > 2**24
    older = run.report.to_dict()
    del older["cost"]["peak_memory_bytes"]
    assert ts.Report.from_dict(json.loads(json.dumps(older))).cost.peak_memory_bytes is None
