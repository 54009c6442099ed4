"""Bundles of one base, opened by one server: the body is held once, and no answer changes."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch

from tests.integration.api.conftest import LABELS, Serve, WriteModel
from tests.models import POLITICS, SPORTS
from tests.unit.model.test_shared import held_bytes
from tunesmith.api.loading import Loader
from tunesmith.bundle import open_bundle
from tunesmith.predict import Predictor

TEXTS = [*SPORTS, *POLITICS]


def with_another_head(predictor: Predictor) -> Predictor:
    """What `method: head` makes of the same base: the body stays as it is."""
    classifier = replace(predictor.classifier, model=copy.deepcopy(predictor.classifier.model))
    with torch.no_grad():
        classifier.model.score.weight.mul_(-1)
    return Predictor(classifier, predictor.max_tokens)


def test_heads_on_one_base_share_it_and_answer_as_they_did(
    serve_live: Serve, predictor: Predictor, write_model: WriteModel, tmp_path: Path
) -> None:
    paths = [write_model(tmp_path / "one"), write_model(tmp_path / "two", with_another_head(predictor))]
    alone = [open_bundle(path).predictor() for path in paths]
    expected = [model.predict(TEXTS) for model in alone]
    assert [each.target for each in expected[0]] != [each.target for each in expected[1]]
    loader = Loader()
    first, second = (loader.load(path) for path in paths)
    assert isinstance(first.answers, Predictor)
    assert isinstance(second.answers, Predictor)
    models = [first.answers.classifier.model, second.answers.classifier.model]
    head = models[0].score.weight.nbytes
    assert held_bytes(models) == held_bytes(models[:1]) + head
    assert held_bytes([each.classifier.model for each in alone]) > 1.9 * held_bytes(models)
    assert [model.predict(TEXTS) for model in (first.answers, second.answers)] == expected
    client = serve_live(first.answers, [second])
    for name, predictions in (("tiny", expected[0]), ("two", expected[1])):
        results = client.post("/v1/classify", json={"input": TEXTS, "model": name}).json()["results"]
        assert [result["label"] for result in results] == [each.target for each in predictions]
    assert first.about["parameters"] == alone[0].classifier.parameters
    assert set(first.answers.labels) == set(LABELS)
