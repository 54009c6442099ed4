"""What is told over HTTP of a model that was loaded from its bundle is what the predictor says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.api.conftest import Serve, WriteModel
from tunesmith.api.loading import Loader
from tunesmith.predict import Predictor


def test_an_explanation_is_the_predictors(
    serve_live: Serve, write_model: WriteModel, predictor: Predictor, tmp_path: Path
) -> None:
    loaded = Loader(several=False).load(write_model(tmp_path / "run" / "model"), "loaded")
    client = serve_live(predictor, others=[loaded])
    text = "the striker 😀 scored a late goal"
    (expected,) = predictor.explain([text])
    asked = {"input": text, "model": "loaded"}
    found = client.post("/v1/explain", json=asked).json()
    assert found["label"] == expected.label
    assert found["log_odds"] == pytest.approx(expected.log_odds, abs=1e-3)
    for token, other in zip(found["tokens"], expected.tokens, strict=True):
        assert (token["text"], token["start"], token["end"]) == (other.text, other.start, other.end)
        assert token["score"] == pytest.approx(other.score, abs=1e-3)
    assert "".join(text[word["start"] : word["end"]] for word in found["words"]) == text.replace(" ", "")
    assert client.get("/v1/model?model=loaded").json()["why"] == "torch, the only one there is"
