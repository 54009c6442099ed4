"""Real weights that no one here made, a tiny Llama: adapted, fine-tuned, opened by transformers, served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tests.integration.api.conftest import Serve
from tunesmith.bundle import open_bundle
from tunesmith.data.read import read
from tunesmith.exporting.export import Form
from tunesmith.model.load import quiet_transformers
from tunesmith.pretraining.adapt import AdaptSettings, adapt
from tunesmith.pretraining.corpus import Part


@pytest.fixture(scope="module")
def adapted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("real")
    base, text = shared / "models" / "stories260K", place / "news.txt"
    text.write_text("\n\n".join(read(shared / "data" / "ag_news" / "train.parquet").texts[:400]))
    facts = adapt(str(base), [Part(text)], place / "own", AdaptSettings("fp32", batch_tokens=2048))
    assert facts["curve"][-1]["bits_per_byte"] < facts["before"]["news.txt"]
    assert facts["parameters"] == 260_032
    return place / "own"


@pytest.fixture(scope="module")
def run(adapted: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> ts.Run:
    place = tmp_path_factory.mktemp("run")
    rows = read(shared / "data" / "ag_news" / "test.parquet").take(range(120))
    lines = (json.dumps({"text": row.text, "label": row.target}) + "\n" for row in rows)
    (place / "rows.jsonl").write_text("".join(lines))
    recipe = ts.Recipe(base=str(adapted), epochs=1, precision="fp32", method="full")
    return ts.train(place / "rows.jsonl", recipe=recipe, out=place / "run")


TEXTS = ["The striker scored.", "Shares fell on Monday after the report.", "word " * 700]


def test_it_is_kept_in_the_format_that_it_came_in(adapted: Path) -> None:
    assert json.loads((adapted / "config.json").read_text())["dtype"] == "float16"
    assert json.loads((adapted / "config.json").read_text())["model_type"] == "llama"


def test_transformers_opens_the_classifier_and_answers_alike(run: ts.Run) -> None:
    from transformers import pipeline

    bundle = open_bundle(run.model_path)
    with quiet_transformers():
        classify: Any = pipeline("text-classification", model=str(run.model_path), device="cpu")
        options = {"truncation": True, "max_length": bundle.predictor().max_tokens}
        theirs = classify(TEXTS, top_k=None, **options)
    for prediction, scores in zip(bundle.predictor().predict(TEXTS), theirs, strict=True):
        assert prediction.scores == pytest.approx({row["label"]: row["score"] for row in scores}, abs=1e-5)


def test_it_is_served_with_the_same_answers(run: ts.Run, serve_live: Serve) -> None:
    predictor = open_bundle(run.model_path).predictor()
    answers = serve_live(predictor).post("/v1/classify", json={"input": TEXTS}).json()["results"]
    for answer, expected in zip(answers, predictor.predict(TEXTS), strict=True):
        assert answer["label"] == expected.target
        scores = {row["label"]: row["score"] for row in answer["scores"]}
        assert scores == pytest.approx(expected.scores, abs=1e-5)


@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_it_is_exported_with_the_same_answers(run: ts.Run, form: Form) -> None:
    made = ts.export(run.directory, form)
    assert made.parity.agreement == 1
    assert made.parity.largest_change < 1e-4
    if form == "onnx":
        expected = [
            prediction.scores for prediction in open_bundle(run.model_path).predictor().predict(TEXTS)
        ]
        for prediction, scores in zip(ts.load(made.path).predict(TEXTS), expected, strict=True):
            assert prediction.scores == pytest.approx(scores, abs=1e-5)
