"""Several models in one server: each under its name, the first where none is named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.api.conftest import CLASSIFY, Client, FakePredictor, MakeClient, refusal
from tunesmith.api.names import named_models
from tunesmith.api.served import Loaded
from tunesmith.errors import ServiceError
from tunesmith.predict import Prediction

JSON = {"Content-Type": "application/json"}
MOODS = ("good", "bad")


def moods(predictor: FakePredictor | None = None) -> Loaded:
    return Loaded(predictor or FakePredictor(MOODS), {"model": "mood", "base": "gpt2"})


@pytest.fixture
def both(make_client: MakeClient) -> Client:
    return make_client(others=[moods()])


def test_a_request_is_answered_by_the_model_that_it_names(both: Client) -> None:
    answer = both.classify("bad", model="mood").json()
    assert answer["model"] == "mood"
    assert answer["results"][0]["label"] == "bad"
    assert both.classify("sports", model="news").json()["model"] == "news"


def test_who_names_none_is_answered_by_the_first(both: Client) -> None:
    assert both.classify("sports").json()["model"] == "news"
    assert both.classify("sports", model=None).json()["model"] == "news"
    assert both.get("/v1/model").json()["model"] == "news"


def test_each_model_has_caps_of_its_own(both: Client) -> None:
    assert both.classify("sports", top_k=6).status_code == 200
    assert refusal(both.classify("bad", model="mood", top_k=3)) == (400, "bad-top-k", "top_k")
    assert both.classify("bad", model="mood", top_k=2).status_code == 200


def test_an_unknown_name_is_answered_with_those_there_are(both: Client) -> None:
    for response in (both.classify("bad", model="moods"), both.get("/v1/model?model=moods")):
        assert refusal(response) == (404, "no-such-model", "model")
        assert "there is `news`, `mood`" in response.json()["error"]["message"]
    half = both.post(CLASSIFY, content=b'{"input": "a", "model": "\\ud800"}', headers=JSON)
    assert refusal(half)[:2] == (404, "no-such-model")


@pytest.mark.parametrize("name", [3, ["news"], {"news": 1}, True])
def test_what_is_no_name_is_refused(both: Client, name: object) -> None:
    assert refusal(both.classify("bad", model=name)) == (400, "bad-field", "model")


def test_all_are_listed_with_what_is_known_of_them(both: Client) -> None:
    listed = both.get("/v1/models").json()
    assert listed["default"] == "news"
    assert [facts["model"] for facts in listed["models"]] == ["news", "mood"]
    assert listed["models"][1] == both.get("/v1/model?model=mood").json()
    assert listed["models"][1]["labels"] == list(MOODS)
    assert listed["models"][1]["base"] == "gpt2"


def test_it_is_ready_once_all_have_answered(make_client: MakeClient) -> None:
    slow = FakePredictor(MOODS)
    slow.go_on.clear()
    client = make_client(others=[moods(slow)])
    assert client.get("/readyz").json() == {"status": "loading"}
    slow.go_on.set()
    assert client.classify("bad", model="mood").status_code == 200
    assert client.classify("sports").status_code == 200
    assert client.get("/readyz").json() == {"status": "ready"}


def test_the_fault_of_one_is_not_the_others(make_client: MakeClient) -> None:
    class Broken(FakePredictor):
        def predict(self, texts: Sequence[str]) -> list[Prediction]:
            raise ValueError("broken")

    client = make_client(others=[moods(Broken(MOODS))])
    assert refusal(client.classify("bad", model="mood"))[:2] == (500, "server-fault")
    assert client.classify("sports").status_code == 200


def test_the_schema_and_the_reference_have_the_names(both: Client) -> None:
    schema = both.get("/openapi.json").json()["paths"]
    body = schema["/v1/classify"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["input"]
    assert schema["/v1/model"]["get"]["parameters"][0]["name"] == "model"
    assert "no-such-model" in schema["/v1/model"]["get"]["responses"]["404"]["description"]
    page = both.get("/docs").text
    assert 'id="get-v1-models"' in page
    assert len(re.findall(r"<code>model</code>", page)) >= 3


def test_models_are_called_as_their_runs_or_as_they_are_named() -> None:
    named = named_models([Path("runs/news"), Path("old/mood/model")], ["v2=runs/news"])
    assert named == {"news": Path("runs/news"), "mood": Path("old/mood/model"), "v2": Path("runs/news")}


def test_every_bad_name_is_told_before_anything_is_opened() -> None:
    with pytest.raises(ServiceError) as caught:
        named_models([Path("a/news"), Path("b/news")], ["x", "../x=a", "=a", "news=c", "y=a"])
    told = [(problem.code, problem.what) for problem in caught.value.problems]
    assert [code for code, _ in told].count("bad-model-name") == 3
    assert ("model-taken", "3 models are called 'news'") in told
