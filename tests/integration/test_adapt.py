"""A base goes on reading: it knows the domain better, stays what it was, and resumes to the bit."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

import tunesmith as ts
from tests.listeners import Heard
from tests.models import POLITICS, SPORTS, save_tiny_base
from tunesmith.files import sha256_file
from tunesmith.model.generator import load_generator
from tunesmith.pretraining.adapt import AdaptSettings, adapt
from tunesmith.pretraining.corpus import Part
from tunesmith.training.loop import Interrupted

SETTINGS = AdaptSettings("fp32", epochs=2, window=32, batch_tokens=256, learning_rate=1e-2)


def _write(path: Path, sentences: list[str], count: int = 120) -> Path:
    chance = random.Random(0)
    path.write_text("\n\n".join(". ".join(chance.choices(sentences, k=5)) for _ in range(count)))
    return path


@pytest.fixture(scope="module")
def sports(tmp_path_factory: pytest.TempPathFactory) -> Part:
    return Part(_write(tmp_path_factory.mktemp("corpus") / "sports.txt", SPORTS))


@pytest.fixture(scope="module")
def politics(tmp_path_factory: pytest.TempPathFactory) -> Part:
    return Part(_write(tmp_path_factory.mktemp("corpus") / "politics.txt", POLITICS))


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gptj"])
def test_a_base_knows_its_new_text_better(architecture: str, sports: Part, tmp_path: Path) -> None:
    base, out, heard = save_tiny_base(tmp_path / "base", architecture), tmp_path / "own", Heard()
    facts = adapt(str(base), [sports], out, SETTINGS, listener=heard)
    assert heard.stages == ["read", "adapt"]
    assert facts["curve"][-1]["bits_per_byte"] < facts["before"]["sports.txt"] / 2
    assert heard.notes[0].startswith("before: sports.txt ")
    assert json.loads((out / "pretrain.json").read_text())["base"] == str(base)
    assert "adapted by `tunesmith adapt`" in (out / "README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "own"]
    assert load_generator(str(out)).window == load_generator(str(base)).window
    assert (out / "tokenizer.json").read_text() == (base / "tokenizer.json").read_text()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_keep_their_number_format(dtype: str, sports: Part, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    base = save_tiny_base(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    model.save_pretrained(base)
    adapt(str(base), [sports], tmp_path / "own", SETTINGS)
    assert json.loads((tmp_path / "own" / "config.json").read_text())["dtype"] == dtype


def test_general_text_is_mixed_in_and_less_is_forgotten(sports: Part, politics: Part, tmp_path: Path) -> None:
    base = save_tiny_base(tmp_path / "base")
    known = tmp_path / "known"
    adapt(str(base), [politics], known, SETTINGS)
    mixed = AdaptSettings(
        "fp32", epochs=2, window=32, batch_tokens=256, learning_rate=1e-2, general_share=0.4
    )
    facts = adapt(str(known), [sports], tmp_path / "mixed", mixed, general=[politics])
    own, general = facts["corpora"]
    tokens = [corpus["tokens"] * corpus["passes"] for corpus in (own, general)]
    assert tokens[1] / sum(tokens) == pytest.approx(0.4, abs=0.02)
    # without general text, what it does to the other corpus is seen by adapting to it for nothing
    alone = adapt(str(known), [sports], tmp_path / "alone", SETTINGS)
    assert alone["curve"][-1]["bits_per_byte"] < 1
    before = adapt(str(tmp_path / "alone"), [politics], tmp_path / "c", SETTINGS)["before"]["politics.txt"]
    assert facts["curve"][-1]["bits_per_byte politics.txt"] < before


@pytest.mark.parametrize("stop_after", [1, 5])
def test_stopped_and_resumed_equals_uninterrupted(sports: Part, tmp_path: Path, stop_after: int) -> None:
    base, heard = save_tiny_base(tmp_path / "base"), Heard()
    adapt(str(base), [sports], tmp_path / "whole", SETTINGS)
    out = tmp_path / "own"
    with pytest.raises(Interrupted):
        adapt(
            str(base),
            [sports],
            out,
            SETTINGS,
            listener=heard,
            should_stop=lambda: len(heard.progress) == stop_after,
        )
    assert not out.exists()
    with pytest.raises(ts.UserError, match="exists"):
        adapt(str(base), [sports], out, SETTINGS)
    other = save_tiny_base(tmp_path / "other", seed=1)
    with pytest.raises(ts.UserError, match="resume-changed"):
        adapt(str(other), [sports], out, SETTINGS, resume=True)
    adapt(str(base), [sports], out, SETTINGS, resume=True)
    assert sha256_file(out / "model.safetensors") == sha256_file(tmp_path / "whole" / "model.safetensors")


def test_a_base_is_not_overwritten_by_itself(sports: Part, tmp_path: Path) -> None:
    base = save_tiny_base(tmp_path / "base")
    with pytest.raises(ts.UserError, match="exists"):
        adapt(str(base), [sports], base, SETTINGS, overwrite=True)


def test_what_cannot_be_adapted_to_is_told(tmp_path: Path) -> None:
    base = str(save_tiny_base(tmp_path / "base"))
    empty, small = tmp_path / "empty.txt", tmp_path / "small.txt"
    empty.write_text("\n")
    small.write_text("a goal")
    for path, code in ((empty, "empty-file"), (small, "small-corpus"), (tmp_path / "none.txt", "no-file")):
        with pytest.raises(ts.UserError, match=code):
            adapt(base, [Part(path)], tmp_path / "own", SETTINGS)
    with pytest.raises(ts.UserError, match="no-base"):
        adapt(str(tmp_path / "nowhere"), [Part(small)], tmp_path / "own", SETTINGS)
    assert not (tmp_path / "own").exists()


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    missing = [Part(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt")]
    with pytest.raises(ts.UserError) as caught:
        adapt("embedded", missing[:2], tmp_path / "own", SETTINGS, general=missing[2:])
    assert [problem.where for problem in caught.value.problems] == [str(part.path) for part in missing]


def test_a_classifier_is_trained_on_an_adapted_base(sports: Part, news: Path, tmp_path: Path) -> None:
    adapt(str(save_tiny_base(tmp_path / "base")), [sports], tmp_path / "own", SETTINGS)
    run = ts.train(news, recipe=ts.Recipe(base=str(tmp_path / "own"), epochs=1), out=tmp_path / "run")
    assert run.load().predict(["goal"])[0].target in run.task.labels
