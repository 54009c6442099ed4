"""A multi-label model over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.api.conftest import LABELS, FakePredictor, MakeClient
from tests.unit.api.test_about import bundle_at
from tunesmith.api.about import about_bundle
from tunesmith.api.schemas import ModelFacts
from tunesmith.predict import Prediction
from tunesmith.task import Task


class SeveralPredictor(FakePredictor):
    """Gives every label that the text holds."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        return [self._several(text.split()) for text in texts]

    def _several(self, words: Sequence[str]) -> Prediction:
        scores = {label: 0.9 - 0.1 * at if label in words else 0.01 for at, label in enumerate(self.labels)}
        return Prediction(tuple(label for label in self.labels if label in words), scores, False, len(words))


@pytest.mark.parametrize(
    ("text", "labels"),
    [("music", ["music"]), ("travel sports music", ["sports", "music", "travel"]), ("nothing", [])],
)
def test_any_number_of_labels_is_answered(make_client: MakeClient, text: str, labels: list[str]) -> None:
    (result,) = make_client(SeveralPredictor()).classify(text).json()["results"]
    assert result["labels"] == labels
    assert result["label"] == (labels[0] if labels else None)
    assert (result["score"] is None) == (not labels)
    assert len(result["scores"]) == 5


def test_one_label_is_a_list_of_one(make_client: MakeClient) -> None:
    (result,) = make_client().classify("sports").json()["results"]
    assert result["labels"] == [result["label"]] == ["sports"]


def test_the_scores_of_all_labels_given_are_shown(make_client: MakeClient) -> None:
    text = " ".join(LABELS)
    client = make_client(SeveralPredictor())
    assert len(client.classify(text).json()["results"][0]["scores"]) == 6
    assert len(client.classify(text, top_k=2).json()["results"][0]["scores"]) == 2
    capped = make_client(SeveralPredictor(), max_top_k=3)
    assert len(capped.classify(text).json()["results"][0]["scores"]) == 3


def test_a_model_says_that_it_gives_several(tmp_path: Path) -> None:
    metrics = {"macro_f1": 0.6, "micro_f1": 0.8}
    bundle = bundle_at(tmp_path / "topics" / "model", metrics=metrics, kind="multi_label")
    facts = ModelFacts(labels=["a", "b"], max_tokens=9, **about_bundle(bundle))
    assert facts.kind == "multi_label"
    assert facts.accuracy is None
    assert facts.micro_f1 is not None
    assert facts.micro_f1.value == 0.8
    assert Task(kind="multi_label") == bundle.task
