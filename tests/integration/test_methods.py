from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunesmith as ts
from tests.models import ARCHITECTURES, save_tiny_base
from tunesmith.files import read_json, sha256_file
from tunesmith.training.loop import Interrupted, Progress

METHODS = ("full", "lora", "head", "frozen", "head-first")
TEXTS = ["the striker scored", "the minister lost the vote after a long debate", "fans sang"]


class _Ear(ts.Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[Progress] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def training(self, progress: Progress) -> None:
        self.steps.append(progress)


def _recipe(base: Path, method: Any, **changes: Any) -> ts.Recipe:
    values: dict[str, Any] = {"base": str(base), "method": method, "epochs": 2, "micro_batch_tokens": 256}
    return ts.Recipe(**values | {"rival_seconds": 0} | changes)


def _weights(run: ts.Run) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run.model_path / "model.safetensors")


def _changed(run: ts.Run, base: Path) -> set[str]:
    """The weights of the body that are not the base's any more."""
    from safetensors.torch import load_file

    before = load_file(base / "model.safetensors")
    return {
        name
        for name, value in _weights(run).items()
        if name in before and not torch.equal(before[name], value)
    }


@pytest.fixture(scope="module")
def runs(news: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ts.Run]:
    out = tmp_path_factory.mktemp("runs")
    return {method: ts.train(news, recipe=_recipe(tiny_base, method), out=out / method) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_a_bundle_is_a_plain_model(runs: dict[str, ts.Run], method: str) -> None:
    from transformers import pipeline

    run = runs[method]
    assert run.recipe.method == method
    assert run.report.provenance["method"] == method
    config = read_json(run.model_path / "config.json")
    assert config["architectures"] == ["GPT2ForSequenceClassification"]
    assert not [name for name in _weights(run) if "lora" in name or "base_layer" in name]
    assert not (run.directory / "checkpoints").exists()
    answers: Any = pipeline("text-classification", model=str(run.model_path), top_k=None)(
        TEXTS, truncation=True
    )
    for prediction, answer in zip(run.load().predict(TEXTS), answers, strict=True):
        scores = {row["label"]: row["score"] for row in answer}
        assert scores == pytest.approx(prediction.scores, abs=1e-5)


def test_each_method_trains_what_it_says(runs: dict[str, ts.Run], tiny_base: Path) -> None:
    changed = {method: _changed(runs[method], tiny_base) for method in METHODS}
    lower = {name for name in changed["full"] if name.startswith(("transformer.h.0.", "transformer.w"))}
    assert lower
    assert changed["head"] == set()
    assert changed["frozen"] == changed["full"] - lower
    assert changed["head-first"] == changed["full"]
    linear = {name for name in changed["full"] if ".c_" in name and name.endswith(".weight")}
    assert changed["lora"] == linear


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_all(
    runs: dict[str, ts.Run], news: Path, tiny_base: Path, tmp_path: Path, method: str
) -> None:
    again = ts.train(news, recipe=_recipe(tiny_base, method), out=tmp_path / "again")
    assert sha256_file(again.model_path / "model.safetensors") == sha256_file(
        runs[method].model_path / "model.safetensors"
    )
    assert again.report.metrics == runs[method].report.metrics


@pytest.mark.parametrize(
    ("method", "stop_after"),
    [*((method, 1) for method in METHODS[1:]), ("lora", 3), ("frozen", 7), ("head-first", 8)],
)
def test_stopped_and_resumed(
    runs: dict[str, ts.Run], news: Path, tiny_base: Path, tmp_path: Path, method: str, stop_after: int
) -> None:
    ear, out, recipe = _Ear(), tmp_path / "run", _recipe(tiny_base, method)
    with pytest.raises(Interrupted):
        ts.train(news, recipe=recipe, out=out, listener=ear, should_stop=lambda: len(ear.steps) >= stop_after)
    told = len(ear.steps)
    resumed = ts.train(news, recipe=recipe, out=out, resume=True, listener=ear)
    assert _weights(resumed).keys() == _weights(runs[method]).keys()
    for name, value in _weights(runs[method]).items():
        assert torch.equal(value, _weights(resumed)[name]), name
    assert resumed.report.metrics == runs[method].report.metrics
    assert len(ear.steps) > told


def test_a_checkpoint_holds_only_what_trains(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    ear = _Ear()
    with pytest.raises(Interrupted):
        ts.train(
            news,
            recipe=_recipe(tiny_base, "lora", lora_rank=2, lora_targets=["attn.c_attn"]),
            out=tmp_path / "run",
            listener=ear,
            should_stop=lambda: True,
        )
    (path,) = (tmp_path / "run/checkpoints").glob("step-*")
    kept = load_file(path / "model.safetensors")
    assert sum("lora_" in name for name in kept) == len(kept) - 1 == 4
    assert kept["score.weight"].shape == (2, 16)
    moments = load_file(path / "optimizer.safetensors")
    assert {name.split("/")[1] for name in moments} == kept.keys()


def test_heads_are_found_in_other_architectures_too(news: Path, tmp_path: Path) -> None:
    for architecture in (*ARCHITECTURES[1:], "gptj"):
        base = save_tiny_base(tmp_path / architecture, architecture)
        for method in ("lora", "head") if architecture == "llama" else ("head",):
            out = tmp_path / f"{architecture}-{method}"
            run = ts.train(news, recipe=_recipe(base, method, epochs=1), out=out)
            assert (_changed(run, base) == set()) == (method == "head")
            assert len(run.load().predict(TEXTS)) == len(TEXTS)


def test_what_spills_to_the_disk_is_the_same_and_is_swept(
    runs: dict[str, ts.Run], news: Path, tiny_base: Path, tmp_path: Path
) -> None:
    recipe = _recipe(tiny_base, "frozen", activation_cache_mib=0)
    spills: list[bool] = []

    def look() -> bool:
        spills.append((tmp_path / "run/checkpoints/activations.bin").exists())
        return False

    run = ts.train(news, recipe=recipe, out=tmp_path / "run", should_stop=look)
    assert any(spills)
    for name, value in _weights(runs["frozen"]).items():
        assert torch.equal(value, _weights(run)[name]), name


def test_auto_says_why_and_stays_with_it(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    ear, out, recipe = _Ear(), tmp_path / "run", _recipe(tiny_base, "auto")
    with pytest.raises(Interrupted):
        ts.train(news, recipe=recipe, out=out, listener=ear, should_stop=lambda: True)
    assert [note for note in ear.notes if note.startswith("method: full, as weights, gradients")]
    about = read_json(out / "run.json")
    assert about["recipe"]["method"] == "full"
    assert "which fits" in about["reasons"]["method"]
    run = ts.train(news, recipe=recipe, out=out, resume=True)
    assert run.recipe.method == "full"


def test_class_weights_move_the_head(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in news.read_text("utf-8").splitlines()]
    rare = [row for i, row in enumerate(rows) if row["label"] == "sports" or i % 3 == 0]
    data = tmp_path / "a.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rare), encoding="utf-8")
    sums = {}
    for weights in ("none", "auto"):
        recipe = _recipe(tiny_base, "head", class_weights=weights)
        model = ts.train(data, recipe=recipe, out=tmp_path / weights).load()
        sums[weights] = sum(answer.scores["politics"] for answer in model.predict([r["text"] for r in rows]))
    assert sums["auto"] > sums["none"]


@pytest.mark.parametrize("method", ["lora", "frozen", "head"])
def test_bf16(news: Path, tiny_base: Path, tmp_path: Path, method: str) -> None:
    run = ts.train(news, recipe=_recipe(tiny_base, method, precision="bf16"), out=tmp_path / "run")
    assert np.isfinite(list(run.report.metrics.values())).all()


def _fails(recipe: ts.Recipe, news: Path, out: Path) -> list[str]:
    with pytest.raises(ts.UserError) as caught:
        ts.train(news, recipe=recipe, out=out)
    assert not out.exists()
    return [str(problem) for problem in caught.value.problems]


def test_what_cannot_be_is_refused_before_anything_is_written(
    news: Path, tiny_base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    (told,) = _fails(_recipe(tiny_base, "lora", lora_targets=["c_attn", "q_proj", "wte"]), news, out)
    assert "no-such-layer" in told
    assert "q_proj, wte" in told
    assert "c_attn, c_fc, c_proj" in told
    (told,) = _fails(_recipe(tiny_base, "frozen", frozen_layers=2), news, out)
    assert "too-many-frozen" in told
    (told,) = _fails(_recipe(save_tiny_base(tmp_path / "gptj", "gptj"), "frozen"), news, out)
    assert "method-unfit" in told
    if not torch.cuda.is_available():
        (told,) = _fails(_recipe(tiny_base, "qlora"), news, out)
        assert "qlora-unavailable" in told
        assert "method: lora" in told


def test_qlora_makes_a_plain_model_too(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    pytest.importorskip("bitsandbytes")
    recipe, ear = _recipe(tiny_base, "qlora"), _Ear()
    run = ts.train(news, recipe=recipe, out=tmp_path / "a")
    assert not [name for name in _weights(run) if "lora" in name or "quant" in name]
    assert "quantization_config" not in read_json(run.model_path / "config.json")
    again = ts.evaluate(run.directory, news)
    assert again.rows == 60
    with pytest.raises(Interrupted):
        ts.train(news, recipe=recipe, out=tmp_path / "b", listener=ear, should_stop=lambda: True)
    resumed = ts.train(news, recipe=recipe, out=tmp_path / "b", resume=True)
    for name, value in _weights(run).items():
        assert torch.equal(value, _weights(resumed)[name]), name
