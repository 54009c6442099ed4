"""A base reads before it is fine-tuned, and never what it will be judged on."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import tunesmith as ts
from tests.listeners import Heard
from tests.models import POLITICS, SPORTS, save_tiny_base
from tunesmith.data.dataset import Dataset
from tunesmith.errors import ConfigError
from tunesmith.files import sha256_file
from tunesmith.model.load import load_classifier
from tunesmith.pretraining.corpus import Part, documents
from tunesmith.recipe import Adapt
from tunesmith.training.loop import Interrupted
from tunesmith.training.methods import refuse_unfit


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_base(tmp_path_factory.mktemp("base") / "gpt2", dropout=0.0))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, chance = tmp_path_factory.mktemp("rows") / "rows.jsonl", random.Random(0)
    kinds = {"sports": SPORTS, "politics": POLITICS}
    labelled = [
        {"text": f"{n}: " + ". ".join(chance.choices(kinds[label], k=3)), "label": label}
        for n in range(40)
        for label in kinds
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in labelled))
    return path


def _recipe(base: str, **adapt: object) -> ts.Recipe:
    return ts.Recipe.model_validate(
        {"base": base, "epochs": 1, "precision": "fp32", "validation_fraction": 0.1, "adapt": adapt}
    )


def test_the_training_texts_are_read_first(base: str, rows: Path, tmp_path: Path) -> None:
    heard = Heard()
    run = ts.train(rows, recipe=_recipe(base, text="train", epochs=2), out=tmp_path / "run", listener=heard)
    assert heard.stages.index("adapt") < heard.stages.index("train")
    about = json.loads((tmp_path / "run" / "adapted" / "pretrain.json").read_text())
    assert [corpus["name"] for corpus in about["corpora"]] == ["training texts"]
    assert about["corpora"][0]["passes"] == pytest.approx(2)
    assert about["curve"][-1]["bits_per_byte"] < about["before"]["training texts"]
    assert run.recipe.base == base
    assert run.recipe.adapt == Adapt(text=("train",), epochs=2)
    assert not (tmp_path / "run" / "adapted.checkpoints").exists()
    assert run.load().predict(["a goal"])[0].target in run.task.labels


@pytest.mark.parametrize("stage", ["adapt", "train"])
def test_a_stop_in_either_stage_is_gone_on_with(base: str, rows: Path, tmp_path: Path, stage: str) -> None:
    recipe = _recipe(base, text="train", epochs=20)
    ts.train(rows, recipe=recipe, out=tmp_path / "whole")
    stopped, resumed = Heard(), Heard()
    with pytest.raises(Interrupted):
        ts.train(
            rows,
            recipe=recipe,
            out=tmp_path / "run",
            listener=stopped,
            should_stop=lambda: stopped.steps.get(stage, 0) == 2,
        )
    ts.train(rows, recipe=recipe, out=tmp_path / "run", resume=True, listener=resumed)
    assert ("adapt" in resumed.stages) == (stage == "adapt")
    for part in ("adapted", "model"):
        files = [tmp_path / run / part / "model.safetensors" for run in ("run", "whole")]
        assert sha256_file(files[0]) == sha256_file(files[1])


def test_files_are_read_without_what_is_held_out(base: str, rows: Path, tmp_path: Path) -> None:
    read: list[str] = []
    texts = [json.loads(line)["text"] for line in rows.read_text().splitlines()]
    corpus = tmp_path / "all.txt"
    corpus.write_text("\n\n".join(text.upper() for text in texts))
    run = ts.train(rows, recipe=_recipe(base, text=[str(corpus)]), out=tmp_path / "run")
    about = json.loads((tmp_path / "run" / "adapted" / "pretrain.json").read_text())
    assert [part["name"] for part in about["corpora"]] == ["all.txt"]
    held_out = run.report.rows
    from tunesmith.data.texts import same_text_keys

    test = ts.read(rows).take(range(10))
    part = Part(corpus, without=same_text_keys(test.table.column("text")))
    read += documents(part)
    assert len(read) == len(texts) - 10
    assert held_out > 0
    assert not {text.casefold() for text in read} & {text.casefold() for text in test.texts}


def test_what_is_said_is_read_of_tasks_that_write() -> None:
    from tunesmith.data.dataset import dataset_of

    pairs: Dataset = dataset_of(ts.Task(kind="completion"), ["a question"], ["an answer"])
    assert list(documents(Part(Path("x"), rows=pairs))) == ["a question\nan answer"]


def test_the_recipe_says_it_in_a_word_or_in_full() -> None:
    assert ts.Recipe.model_validate({"adapt": "train"}).adapt == Adapt(text=("train",))
    assert ts.Recipe.model_validate({"adapt": {"text": "a.txt"}}).adapt == Adapt(text=("a.txt",))
    assert ts.Recipe().adapt is None


def test_one_process_reads(tiny_base: Path) -> None:
    recipe = ts.Recipe.model_validate({"adapt": "train", "method": "full", "gradient_checkpointing": False})
    with pytest.raises(ConfigError, match="one-process"):
        refuse_unfit(recipe, load_classifier(str(tiny_base), ("a", "b")).model, processes=2)


def test_a_run_that_does_not_adapt_keeps_nothing_adapted(base: str, rows: Path, tmp_path: Path) -> None:
    ts.train(rows, recipe=_recipe(base, text="train"), out=tmp_path / "run")
    ts.train(rows, recipe=ts.Recipe(base=base, epochs=1), out=tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run" / "adapted").exists()
