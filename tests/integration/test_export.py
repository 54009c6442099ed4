"""A run in other forms: each answers alike, or is refused and leaves nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

import tunesmith as ts
from tests.hostile import LIES, safetensors
from tests.models import POLITICS, SPORTS
from tunesmith.bundle import GRAPH, open_bundle
from tunesmith.errors import BundleError, ConfigError, DataError, ExportError
from tunesmith.exporting import export as exporting
from tunesmith.exporting.parity import Bounds
from tunesmith.files import sha256_bytes
from tunesmith.model.load import quiet_transformers
from tunesmith.opening import open_predictor

TEXTS = [*SPORTS, *POLITICS, "goal", "the match " * 60, ""]


def trained(news: Path, base: Path, place: Path, **changes: Any) -> Path:
    recipe = ts.Recipe(base=str(base), epochs=3, learning_rate=0.01, rival_seconds=1, **changes)
    return ts.train(news, recipe=recipe, out=place).directory


@pytest.fixture(scope="module")
def run(news: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(news, tiny_base, tmp_path_factory.mktemp("exported") / "news", method="lora")


@pytest.fixture(scope="module")
def graph(run: Path) -> exporting.Exported:
    return ts.export(run, "onnx")


@pytest.fixture
def with_graph(run: Path, graph: exporting.Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "news"))


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "news", ignore=shutil.ignore_patterns("exports")))


def answers(model: ts.Predictor) -> np.ndarray:
    return np.array([list(each.scores.values()) for each in model.predict(TEXTS)])


def test_onnx_is_a_bundle_that_answers_alike(run: Path, graph: exporting.Exported) -> None:
    made = graph
    assert made.path == run / "exports" / "onnx"
    assert made.parity.agreement == 1
    assert made.parity.macro_f1_before == made.parity.macro_f1_after
    bundle = open_bundle(made.path)
    assert not list(made.path.glob("*.safetensors")), "weights stand in the graph"
    assert bundle.predictor().engine == "onnx"
    assert bundle.predictor().parameters == open_bundle(run / "model").predictor().parameters
    np.testing.assert_allclose(answers(ts.load(made.path)), answers(ts.load(run / "model")), atol=1e-5)
    assert (
        ts.load(made.path).predict([TEXTS[0]])[0].target
        == ts.load(run / "model").predict([TEXTS[0]])[0].target
    )


def test_int8_is_smaller_and_says_how_alike_it_answers(run: Path, graph: exporting.Exported) -> None:
    made = ts.export(run, "onnx-int8", overwrite=True)
    assert (made.path / GRAPH).stat().st_size < (graph.path / GRAPH).stat().st_size
    assert sorted(path.name for path in made.path.glob("*.onnx*")) == [GRAPH]
    assert json.loads((made.path / "parity.json").read_text())["agreement"] == made.parity.agreement
    assert 0 < made.parity.largest_change < 0.1
    assert open_predictor(run, "onnx-int8").predictor.engine == "onnx-int8"


def test_transformers_alone_opens_a_plain_export(run: Path, tmp_path: Path) -> None:
    from transformers import pipeline

    made = ts.export(run, "torch", out=tmp_path / "plain")
    assert not (made.path / "manifest.json").exists()
    with quiet_transformers():
        classify: Any = pipeline("text-classification", model=str(made.path), device="cpu")
        theirs = classify(TEXTS[:-1], top_k=None, truncation=True)
    for ours, scores in zip(ts.load(run).predict(TEXTS[:-1]), theirs, strict=True):
        for row in scores:
            assert ours.scores[row["label"]] == pytest.approx(row["score"], abs=1e-5)


# PEFT still asks transformers by a name that transformers warns of
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_and_its_base_answer_as_the_merged_model(
    run: Path, tiny_base: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    made = ts.export(run, "adapter", out=tmp_path / "adapter")
    assert made.parity.agreement == 1
    assert made.parity.largest_change < 1e-5
    weights = (made.path / "adapter_model.safetensors").stat().st_size
    assert weights < (run / "model" / "model.safetensors").stat().st_size
    with quiet_transformers():
        base = AutoModelForSequenceClassification.from_pretrained(str(tiny_base), num_labels=2)
    theirs = PeftModel.from_pretrained(base, str(made.path)).eval()  # PEFT itself takes it
    ours = ts.load(run).predict([SPORTS[0]])[0]
    ids = torch.from_numpy(ts.load(run).encode([SPORTS[0]])[0].astype(int))[None]
    answered = theirs(input_ids=ids).logits.softmax(dim=-1)[0].tolist()
    assert answered == pytest.approx(list(ours.scores.values()), abs=1e-5)


def test_an_adapter_that_is_none_is_one_clear_error(run: Path, tmp_path: Path) -> None:
    made = ts.export(run, "adapter", out=tmp_path / "adapter").path
    name, manifest = "adapter_model.safetensors", json.loads((made / "manifest.json").read_text())
    stray = safetensors({"score.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))
    for data in (*LIES.values(), stray):
        (made / name).write_bytes(data)
        manifest["files"][name] = sha256_bytes(data)
        (made / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(BundleError, match="bundle-damaged"):
            open_bundle(made).predictor()


def test_a_run_that_learned_all_weights_has_no_adapter(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    whole = trained(news, tiny_base, tmp_path / "whole", method="full")
    with pytest.raises(ConfigError, match="there is no adapter") as raised:
        ts.export(whole, "adapter")
    assert raised.value.problems[0].code == "no-adapter"
    assert not (whole / "exports").exists()


def test_an_export_that_answers_otherwise_is_refused_with_the_rows(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.onnx import graph as graphs

    write = graphs.write_graph

    def faulty(model: Any, path: Path) -> None:
        model.score.weight.data.neg_()
        write(model, path)
        model.score.weight.data.neg_()

    monkeypatch.setattr(graphs, "write_graph", faulty)
    with pytest.raises(ExportError) as raised:
        ts.export(copied, "onnx")
    assert {problem.code for problem in raised.value.problems} == {"no-parity"}
    assert any("news.jsonl:" in problem.where for problem in raised.value.problems)
    assert not (copied / "exports" / "onnx").exists()
    assert not list((copied / "exports").glob(".*")), "what was begun is gone"


def test_rounding_is_held_to_bounds_of_its_own(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ROUNDED", Bounds(1.1, 0.005))
    with pytest.raises(ExportError, match="no-parity"):
        ts.export(copied, "onnx-int8")


def test_auto_takes_the_quicker_and_says_so(copied: Path, run: Path, graph: exporting.Exported) -> None:
    alone = open_predictor(copied)
    assert (alone.predictor.engine, alone.why) == ("torch", "torch, the only one there is")
    shutil.copytree(run / "exports", copied / "exports")
    ts.export(copied, "onnx-int8", overwrite=True)
    chosen = open_predictor(copied)
    assert chosen.predictor.engine in ("torch", "onnx"), "8 bits are for those who ask"
    assert "ms here" in chosen.why
    assert "with" in chosen.why


def test_an_engine_that_is_not_there_is_told_with_how_to_make_it(copied: Path) -> None:
    with pytest.raises(ConfigError, match=r"tunesmith export .* --to onnx"):
        ts.load(copied, engine="onnx")


def test_an_export_of_an_earlier_model_is_not_used(
    with_graph: Path, news: Path, tiny_base: Path, tmp_path: Path
) -> None:
    other = trained(news, tiny_base, tmp_path / "other", seed=5)
    shutil.rmtree(with_graph / "model")
    shutil.copytree(other / "model", with_graph / "model")
    assert open_predictor(with_graph).predictor.engine == "torch"
    with pytest.raises(BundleError) as raised:
        ts.load(with_graph, engine="onnx")
    assert raised.value.problems[0].code == "stale-export"


def test_training_anew_removes_exports(with_graph: Path, news: Path, tiny_base: Path) -> None:
    recipe = ts.Recipe(base=str(tiny_base), epochs=1, rival_seconds=1)
    ts.train(news, recipe=recipe, out=with_graph, overwrite=True)
    assert not (with_graph / "exports").exists()


def test_an_export_has_no_gradients_to_explain_with(run: Path, graph: exporting.Exported) -> None:
    with pytest.raises(ConfigError, match="gradients"):
        ts.load(run, engine="onnx").explain(["goal"])


def test_data_that_is_gone_is_told_with_a_remedy(copied: Path, news: Path, tmp_path: Path) -> None:
    about = json.loads((copied / "run.json").read_text())
    about["sources"]["train"] = str(tmp_path / "gone.jsonl")
    (copied / "run.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="--data") as raised:
        ts.export(copied, "onnx")
    assert raised.value.problems[0].code == "no-rows-to-compare"
    assert ts.export(copied, "onnx", data=news).parity.rows == 60


def test_a_bundle_outside_a_run_needs_a_place_and_rows(run: Path, news: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--out"):
        ts.export(run / "model", "onnx")
    with pytest.raises(DataError, match="--data"):
        ts.export(run / "model", "onnx", out=tmp_path / "graph")
    assert ts.export(run / "model", "onnx", out=tmp_path / "graph", data=news).parity.agreement == 1


def test_rows_are_found_again_where_a_test_file_was_given(
    news: Path, tiny_base: Path, tmp_path: Path
) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text(news.read_text().replace("rounds in", "minutes to the end"))
    recipe = ts.Recipe(base=str(tiny_base), epochs=1, rival_seconds=1, validation_fraction=0.2)
    run = ts.train(news, test=test, recipe=recipe, out=tmp_path / "run").directory
    assert 6 <= ts.export(run, "torch").parity.rows <= 18, "the validation rows alone"


def test_an_export_is_not_exported_again(graph: exporting.Exported, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without the weights"):
        ts.export(graph.path, "torch", out=tmp_path / "plain")


def test_several_labels_are_compared_as_they_are_given(tiny_base: Path, tmp_path: Path) -> None:
    data = tmp_path / "topics.jsonl"
    rows = [
        {"text": f"{text} {number}", "labels": labels}
        for number in range(12)
        for text, labels in ((SPORTS[0], ["sports"]), (POLITICS[0], ["law"]), ("both", ["sports", "law"]))
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = trained(data, tiny_base, tmp_path / "topics", method="full")
    made = ts.export(run, "onnx")
    assert made.parity.agreement == 1
    before, after = ts.load(run, engine="torch"), ts.load(made.path)
    assert [each.labels for each in before.predict(TEXTS)] == [each.labels for each in after.predict(TEXTS)]
